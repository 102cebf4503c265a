#include <cmath>
#include <limits>

#include "kernels/softmax/softmax.h"

namespace penstock::kernels {

Status SoftmaxReference(const SoftmaxArgs& args) {
  const Status status = CheckSoftmax(args);
  if (!status.ok()) return status;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * args.dim;
    float* y = args.y + row * args.dim;
    double max = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < args.dim; ++i) {
      if (static_cast<double>(x[i]) > max) max = static_cast<double>(x[i]);
    }
    double sum = 0;
    for (int64_t i = 0; i < args.dim; ++i) sum += std::exp(static_cast<double>(x[i]) - max);
    for (int64_t i = 0; i < args.dim; ++i) {
      y[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) - max) / sum);
    }
  }
  return status;
}

}  // namespace penstock::kernels
