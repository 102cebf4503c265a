#pragma once

#include <cstdint>

namespace penstock::kernels {

// How the experts' products run on the device.
enum class MoeRegime : uint8_t {
  kStream,   // expert_gemv.h: tiles of up to 4 rows of an expert
  kSwapAb,   // expert_gemm.h: tiles of up to 8, 16, 32 or 64
  kGrouped,  // expert_gemm.h: tiles of up to 128
};

// Every tiling is right for every plan: an expert with more rows than a tile takes several, and its
// weights are read once for each.
struct MoeTiling {
  MoeRegime regime = MoeRegime::kSwapAb;
  int tokens = 64;  // rows of a tile
};
bool IsMoeTiling(const MoeTiling& tiling);

// Architectures that are compiled for. The products are those of sm_80 on all of them.
enum class GpuArch : uint8_t { kSm80, kSm90a, kSm100a };

// Per second, the whole device.
struct GpuLimits {
  double memory_bytes;
  double tensor_flops;  // bfloat16, dense
  double float_flops;   // float32 outside the tensor cores
  double shared_bytes;  // of all shared memories: 128 bytes a clock each
};
// Of data sheets, boost clock: A100 SXM 80 GB, H100 SXM, B200.
GpuLimits SpecLimits(GpuArch arch);

struct MoeWork {
  int64_t pairs = 0;
  int64_t active = 0;  // experts with a row, or a guess
  int64_t d = 0;
  int64_t f = 0;
  int64_t o = 0;
};

// The longest of what the tiling asks of each limit, where all active experts have as many rows and
// every operand comes from memory once. A lower bound: no launch, no latency, no idle processor,
// and weights that are read again for an expert's next tile come from L2 for nothing.
double MoeSeconds(const MoeWork& work, const MoeTiling& tiling, const GpuLimits& limits);

// By rows per active expert: kStream up to 4, where its float32 pipes keep up with the memory, and
// up to 64 pairs (with more, some expert has more than 4 rows even where the mean has not); kSwapAb
// up to 64, its tiles for twice the mean where there are such, since counts scatter; kGrouped
// above.
MoeTiling PickMoeTiling(const MoeWork& work, GpuArch arch);

// E (1 - (1 - k / E)^rows): the experts that so many rows meet where each of their pairs is as
// likely to go to any expert. For who knows the counts on the device alone.
int64_t ExpectedActive(int64_t rows, int64_t k, int64_t experts);

}  // namespace penstock::kernels
