#pragma once

#include <cstdint>

namespace penstock::kernels {

// int32 that RoundToCapacity() needs. always_inline: SIMD files call it.
[[gnu::always_inline]] constexpr int64_t RoundingScratch(int64_t rows, int64_t experts, int64_t k) {
  return 2 * experts + 1 + 2 * rows * k;
}

// The rounding of sinkhorn_assign.h. Comparisons and integers only: one build serves every CPU.
struct RoundingArgs {
  int64_t rows = 0;
  int64_t experts = 0;
  int64_t k = 0;
  const float* shares = nullptr;  // log(P_te / r_t), -inf: never; rows `stride` apart
  int64_t stride = 0;
  const int32_t* capacity = nullptr;  // or null: no limit
  int32_t* ids = nullptr;             // out [rows, k]
  int32_t* scratch = nullptr;         // [RoundingScratch()]
};

// Returns the slots without an expert.
int64_t RoundToCapacity(const RoundingArgs& args);

}  // namespace penstock::kernels
