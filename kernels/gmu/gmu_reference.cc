#include <cmath>
#include <vector>

#include "kernels/gmu/gmu.h"

namespace penstock::kernels {

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace.
Status GmuReference(const GmuArgs& args) {
  const Status status = CheckGmu(args);
  if (!status.ok()) return status;
  const LinearWeights& in = args.w.in;
  const LinearWeights& out = args.w.out;
  const int64_t stride = args.memory_stride != 0 ? args.memory_stride : in.out;
  std::vector<double> h(static_cast<size_t>(in.out));
  for (int64_t row = 0; row < args.rows && out.out > 0; ++row) {
    for (int64_t j = 0; j < in.out; ++j) {
      double z = in.bias != nullptr ? static_cast<double>(in.bias[j]) : 0;
      for (int64_t k = 0; k < in.in; ++k) {
        z += static_cast<double>(args.x[row * in.in + k]) * PanelWeight(in, j, k);
      }
      h[static_cast<size_t>(j)] =
          static_cast<double>(args.memory[row * stride + j]) * (z / (1 + std::exp(-z)));
    }
    for (int64_t j = 0; j < out.out; ++j) {
      double sum = out.bias != nullptr ? static_cast<double>(out.bias[j]) : 0;
      for (int64_t k = 0; k < out.in; ++k) {
        sum += h[static_cast<size_t>(k)] * PanelWeight(out, j, k);
      }
      args.y[row * out.out + j] = static_cast<float>(sum);
    }
  }
  return status;
}

}  // namespace penstock::kernels
