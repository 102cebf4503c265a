#include <cstring>

#include "kernels/permute/permute.h"

namespace penstock::kernels {

// memcpy already moves whole vectors: no vector entry would pay.
Status PermuteReference(const PermuteArgs& args) {
  const Status status = CheckPermute(args);
  if (!status.ok() || args.dim == 0) return status;
  for (int64_t p = 0; p < args.pairs; ++p) {
    std::memcpy(args.y + p * args.dim, args.x + args.src[p] / args.k * args.dim,
                static_cast<size_t>(args.dim) * sizeof(float));
  }
  return status;
}

}  // namespace penstock::kernels
