#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// y = exp(x - max x) / sum exp(x - max x) over the last dimension. A NaN or +inf makes its own row
// NaN, and so does a row that is all -inf. y may be x.
struct SoftmaxArgs {
  int64_t rows = 0;
  int64_t dim = 0;
  const float* x = nullptr;  // [rows, dim]
  float* y = nullptr;        // [rows, dim]
};

struct SoftmaxImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const SoftmaxArgs&);
};

std::span<const SoftmaxImpl> SoftmaxImpls();
Status Softmax(const SoftmaxArgs& args);
Cost SoftmaxCost(int64_t rows, int64_t dim);
Status CheckSoftmax(const SoftmaxArgs& args);

Status SoftmaxReference(const SoftmaxArgs& args);
Status SoftmaxAvx2(const SoftmaxArgs& args);
Status SoftmaxAvx512(const SoftmaxArgs& args);
Status SoftmaxCuda(const SoftmaxArgs& args);

}  // namespace penstock::kernels
