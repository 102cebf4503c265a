#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

inline constexpr float kDefaultRmsEps = 1e-6f;

// y = x / sqrt(mean(x^2) + eps) * weight over the last dimension; Root Mean Square Layer
// Normalization (arXiv:1910.07467), equation 4, with eps as in Llama. y may be x.
struct RmsNormArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  const float* x = nullptr;       // [rows, dim]
  const float* weight = nullptr;  // [dim]
  float eps = kDefaultRmsEps;
  float* y = nullptr;  // [rows, dim]
};

struct RmsNormImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const RmsNormArgs&);
};

std::span<const RmsNormImpl> RmsNormImpls();
Status RmsNorm(const RmsNormArgs& args);
Cost RmsNormCost(int64_t rows, int64_t dim);
Status CheckRmsNorm(const RmsNormArgs& args);

Status RmsNormReference(const RmsNormArgs& args);
Status RmsNormAvx2(const RmsNormArgs& args);
Status RmsNormAvx512(const RmsNormArgs& args);
Status RmsNormCuda(const RmsNormArgs& args);

}  // namespace penstock::kernels
