#include <cmath>

#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {

Status RmsNormReference(const RmsNormArgs& args) {
  const Status status = CheckRmsNorm(args);
  if (!status.ok()) return status;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.dim;
    double squares = 0;
    for (int64_t i = 0; i < args.dim; ++i) {
      squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    const double scale =
        1.0 / std::sqrt(squares / static_cast<double>(args.dim) + static_cast<double>(args.eps));
    for (int64_t i = 0; i < args.dim; ++i) {
      args.y[row * args.dim + i] = static_cast<float>(static_cast<double>(x[i]) * scale *
                                                      static_cast<double>(args.weight[i]));
    }
  }
  return status;
}

}  // namespace penstock::kernels
