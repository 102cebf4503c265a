#include "kernels/linear/linear.h"

namespace penstock::kernels {

Status LinearReference(const LinearArgs& args) {
  const Status status = CheckLinear(args);
  if (!status.ok()) return status;
  const LinearWeights& w = args.w;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : w.in;
  const int64_t y_stride = args.y_stride != 0 ? args.y_stride : w.out;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + (args.x_rows != nullptr ? args.x_rows[row] : row) * x_stride;
    for (int64_t n = 0; n < w.out; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < w.in; ++k) {
        sum += static_cast<double>(x[k]) * PanelWeight(w, n, k);
      }
      if (w.bias != nullptr) sum += static_cast<double>(w.bias[n]);
      const int64_t at = row * y_stride + n;
      if (args.residual != nullptr) sum += static_cast<double>(args.residual[at]);
      args.y[at] = static_cast<float>(sum);
    }
  }
  return status;
}

}  // namespace penstock::kernels
