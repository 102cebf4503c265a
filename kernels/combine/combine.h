#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// y[t, :] = sum_i weights[t, i] * h[dst[t k + i], :] [+ residual[t, :]]: slots in order from 0,
// every product and every sum rounded to float32 (no fused multiply-add), residual last. So the
// result is the same bits in every implementation. Slots with dst outside [0, pairs) are skipped.
struct CombineArgs {
  int64_t rows = 0;
  int64_t k = 0;
  int64_t dim = 0;
  int64_t pairs = 0;
  const float* h = nullptr;         // [pairs, dim]
  const int32_t* dst = nullptr;     // [rows * k]
  const float* weights = nullptr;   // [rows, k]
  const float* residual = nullptr;  // [rows, dim], or null; may be y
  float* y = nullptr;               // [rows, dim]
};

struct CombineImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const CombineArgs&);
};

std::span<const CombineImpl> CombineImpls();
Status Combine(const CombineArgs& args);
Cost CombineCost(int64_t rows, int64_t k, int64_t dim);
Status CheckCombine(const CombineArgs& args);

Status CombineReference(const CombineArgs& args);
Status CombineAvx2(const CombineArgs& args);
Status CombineAvx512(const CombineArgs& args);
Status CombineCuda(const CombineArgs& args);

}  // namespace penstock::kernels
