#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// y[p, :] = x[src[p] / k, :] for the first `pairs` grouped rows of a plan.
struct PermuteArgs {
  int64_t rows = 0;
  int64_t k = 0;
  int64_t dim = 0;
  int64_t pairs = 0;             // offsets[experts] of the plan
  const int32_t* src = nullptr;  // [pairs]
  const float* x = nullptr;      // [rows, dim]
  float* y = nullptr;            // [pairs, dim]
};

struct PermuteImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const PermuteArgs&);
};

std::span<const PermuteImpl> PermuteImpls();
Status Permute(const PermuteArgs& args);
Cost PermuteCost(int64_t pairs, int64_t dim);
// Includes that every src is a pair of these rows.
Status CheckPermute(const PermuteArgs& args);

Status PermuteReference(const PermuteArgs& args);
Status PermuteCuda(const PermuteArgs& args);

}  // namespace penstock::kernels
