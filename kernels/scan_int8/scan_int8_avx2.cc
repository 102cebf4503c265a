#include <immintrin.h>

#include "kernels/scan_int8/scan_int8.h"

namespace penstock::kernels {

Status ScanInt8Avx2(const ScanInt8Args& args) {
  if (const Status status = CheckScanInt8(args); !status.ok()) return status;
  constexpr int64_t kStep = 16;
  const int64_t whole = args.width / kStep * kStep;
  for (int64_t row = 0; row < args.rows; ++row) {
    const int8_t* code = args.codes + row * args.width;
    __m256i sums = _mm256_setzero_si256();
    for (int64_t k = 0; k < whole; k += kStep) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(code + k));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(args.query + k));
      sums = _mm256_add_epi32(sums,
                              _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b)));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    int32_t sum = _mm_cvtsi128_si32(half);
    for (int64_t k = whole; k < args.width; ++k) sum += code[k] * args.query[k];
    args.dots[row] = sum;
  }
  return {};
}

}  // namespace penstock::kernels
