#include <cmath>
#include <vector>

#include "kernels/sparse_down/sparse_down.h"

namespace penstock::kernels {

// Allocates, unlike the entries that serve.
Status SparseDownReference(const SparseDownArgs& args) {
  const Status status = CheckSparseDown(args);
  if (!status.ok() || args.d == 0) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    std::vector<double> y(static_cast<size_t>(args.d), 0);
    for (int64_t j = 0; j < args.f; ++j) {
      const float h = args.h[t * args.f + j];
      if (std::fabs(h) <= args.threshold) continue;
      if (args.active != nullptr) ++*args.active;
      for (int64_t c = 0; c < args.d; ++c) {
        y[static_cast<size_t>(c)] +=
            static_cast<double>(h) * static_cast<double>(args.w[j * args.d + c]);
      }
    }
    for (int64_t c = 0; c < args.d; ++c) {
      args.y[t * args.d + c] = static_cast<float>(y[static_cast<size_t>(c)]);
    }
  }
  return status;
}

}  // namespace penstock::kernels
