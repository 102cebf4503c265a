#include "bench/kernels/machine_ceilings.h"

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/device/isa.h"

namespace penstock::kernels {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLine = 64;

// Keeps a value alive without storing it.
template <typename T>
void Use(const T& value) {
  asm volatile("" : : "x"(value) : "memory");
}

template <int kStreams>
[[gnu::target("avx2")]] void ReadStreams(const char* data, size_t bytes, size_t ahead) {
  const size_t part = bytes / kStreams / kLine * kLine;
  __m256i sums[kStreams] = {};
  for (size_t at = 0; at < part; at += kLine) {
    for (int s = 0; s < kStreams; ++s) {
      const char* line = data + static_cast<size_t>(s) * part + at;
      if (ahead > 0) _mm_prefetch(line + ahead, _MM_HINT_T0);
      const auto* words = reinterpret_cast<const __m256i*>(line);
      sums[s] = _mm256_add_epi64(sums[s], _mm256_add_epi64(_mm256_load_si256(words),
                                                           _mm256_load_si256(words + 1)));
    }
  }
  for (const __m256i& sum : sums) Use(sum);
}

constexpr int kChains = 12;  // enough to hide a multiply-add's latency
constexpr int kTurns = 4'000'000;

[[gnu::target("avx2,fma")]] double Avx2Flops() {
  __m256 acc[kChains];
  for (__m256& a : acc) a = _mm256_set1_ps(1);
  const __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  const double start = Now();
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = _mm256_fmadd_ps(acc[i], x, y);
  }
  const double seconds = Now() - start;
  for (const __m256& a : acc) Use(a);
  return 2.0 * 8 * kChains * kTurns / seconds;
}

[[gnu::target("avx512f")]] double Avx512Flops() {
  __m512 acc[kChains];
  for (__m512& a : acc) a = _mm512_set1_ps(1);
  const __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  const double start = Now();
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = _mm512_fmadd_ps(acc[i], x, y);
  }
  const double seconds = Now() - start;
  for (const __m512& a : acc) Use(a);
  return 2.0 * 16 * kChains * kTurns / seconds;
}

[[gnu::target("avx512f,avx512bf16")]] double Avx512Bf16Flops() {
  __m512 acc[kChains];
  for (__m512& a : acc) a = _mm512_set1_ps(1);
  const __m512i ones = _mm512_set1_epi32(0x3C003C00);  // bfloat16 1/128, twice
  const double start = Now();
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_dpbf16_ps(acc[i], (__m512bh)ones, (__m512bh)ones);
    }
  }
  const double seconds = Now() - start;
  for (const __m512& a : acc) Use(a);
  return 2.0 * 32 * kChains * kTurns / seconds;
}

}  // namespace

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ReadProbe::ReadProbe(size_t bytes) : memory_(bytes + kHugePage), bytes_(bytes) {
  const uintptr_t at = reinterpret_cast<uintptr_t>(memory_.data());
  aligned_ = memory_.data() + (kHugePage - at % kHugePage) % kHugePage;
  madvise(aligned_, bytes, MADV_HUGEPAGE);
  std::memset(aligned_, 1, bytes);
}

double ReadProbe::BytesPerSecond() const {
  using Read = void (*)(const char*, size_t, size_t);
  double best = 0;
  for (const Read read : {ReadStreams<1>, ReadStreams<2>, ReadStreams<4>, ReadStreams<8>}) {
    for (const size_t ahead : {0, 512, 1024, 2048, 4096}) {
      const double start = Now();
      read(aligned_, bytes_, ahead);
      best = std::max(best, static_cast<double>(bytes_) / (Now() - start));
    }
  }
  return best;
}

double FlopsPerSecond(std::string_view isa) {
  if (isa == "avx512bf16") return CpuHasAvx512Bf16() ? Avx512Bf16Flops() : 0;
  if (isa == "avx512") return CpuHasAvx512() ? Avx512Flops() : 0;
  if (isa == "avx2") return CpuHasAvx2() ? Avx2Flops() : 0;
  return 0;
}

}  // namespace penstock::kernels
