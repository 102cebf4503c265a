#include "kernels/permute/permute.h"

namespace penstock::kernels {
namespace {

constexpr PermuteImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, PermuteCuda},
    {"reference", Isa::kReference, AlwaysSupported, PermuteReference},
};

}  // namespace

Cost PermuteCost(int64_t pairs, int64_t dim) {
  const double p = static_cast<double>(pairs);
  return {0, p * (8 * static_cast<double>(dim) + 4)};
}

Status CheckPermute(const PermuteArgs& args) {
  if (args.rows < 0 || args.k < 0 || args.dim < 0 || args.pairs < 0) {
    return {Code::kInvalidArgument, "permute: negative size"};
  }
  if (args.pairs == 0 || args.dim == 0) return {};
  if (args.src == nullptr || args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "permute: null operand"};
  }
  for (int64_t p = 0; p < args.pairs; ++p) {
    if (args.src[p] < 0 || args.src[p] >= args.rows * args.k) {
      return {Code::kInvalidArgument, "permute: src names no pair"};
    }
  }
  return {};
}

std::span<const PermuteImpl> PermuteImpls() { return kImpls; }

Status Permute(const PermuteArgs& args) { return ForOp(PermuteImpls()).run(args); }

}  // namespace penstock::kernels
