#include <immintrin.h>

#include "kernels/scan_int8/scan_int8.h"

namespace penstock::kernels {

Status ScanInt8Avx512(const ScanInt8Args& args) {
  if (const Status status = CheckScanInt8(args); !status.ok()) return status;
  constexpr int64_t kStep = 32;
  const int64_t whole = args.width / kStep * kStep;
  for (int64_t row = 0; row < args.rows; ++row) {
    const int8_t* code = args.codes + row * args.width;
    __m512i sums = _mm512_setzero_si512();
    for (int64_t k = 0; k < whole; k += kStep) {
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(code + k));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(args.query + k));
      sums = _mm512_add_epi32(sums,
                              _mm512_madd_epi16(_mm512_cvtepi8_epi16(a), _mm512_cvtepi8_epi16(b)));
    }
    int32_t sum = _mm512_reduce_add_epi32(sums);
    for (int64_t k = whole; k < args.width; ++k) sum += code[k] * args.query[k];
    args.dots[row] = sum;
  }
  return {};
}

}  // namespace penstock::kernels
