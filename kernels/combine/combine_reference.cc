#include "kernels/combine/combine.h"

namespace penstock::kernels {

// float32, not float64: combine.h defines the result by its roundings.
Status CombineReference(const CombineArgs& args) {
  const Status status = CheckCombine(args);
  if (!status.ok()) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    for (int64_t c = 0; c < args.dim; ++c) {
      float sum = 0;
      for (int64_t pair = t * args.k; pair < (t + 1) * args.k; ++pair) {
        const int32_t at = args.dst[pair];
        if (at < 0 || at >= args.pairs) continue;
        const float product = args.weights[pair] * args.h[at * args.dim + c];
        sum += product;
      }
      if (args.residual != nullptr) sum += args.residual[t * args.dim + c];
      args.y[t * args.dim + c] = sum;
    }
  }
  return status;
}

}  // namespace penstock::kernels
