#include "kernels/route_topk/route_topk.h"

namespace penstock::kernels {
namespace {

constexpr RouteTopKImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, RouteTopKCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, RouteTopKAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, RouteTopKAvx2},
    {"reference", Isa::kReference, AlwaysSupported, RouteTopKReference},
};

}  // namespace

// An exp counts as 8 flops: its polynomial.
Cost RouteTopKCost(int64_t rows, int64_t experts, int64_t k) {
  const double m = static_cast<double>(rows), e = static_cast<double>(experts),
               slots = static_cast<double>(k);
  return {m * e * (10 + slots), m * (4 * e + 8 * slots)};
}

Status CheckRouteTopK(const RouteTopKArgs& args) {
  if (args.rows < 0 || args.experts < 1) {
    return {Code::kInvalidArgument, "route_topk: needs at least one expert"};
  }
  if (args.k < 1 || args.k > args.experts) {
    return {Code::kInvalidArgument, "route_topk: k must be in 1 .. experts"};
  }
  if (args.experts > kMaxExperts) {
    return {Code::kUnsupported, "route_topk: more than 4096 experts"};
  }
  if (args.groups < 1 || args.experts % args.groups != 0) {
    return {Code::kInvalidArgument, "route_topk: groups must divide experts"};
  }
  if (args.groups_kept < 1 || args.groups_kept > args.groups ||
      (args.groups > 1 && args.k % args.groups_kept != 0)) {
    return {Code::kInvalidArgument, "route_topk: groups_kept must be in 1 .. groups and divide k"};
  }
  if (args.group_top < 0 || args.group_top > args.experts / args.groups) {
    return {Code::kInvalidArgument, "route_topk: group_top is above the size of a group"};
  }
  if (args.rows == 0) return {};
  if (args.logits == nullptr || args.ids == nullptr || args.weights == nullptr) {
    return {Code::kInvalidArgument, "route_topk: null operand"};
  }
  return {};
}

std::span<const RouteTopKImpl> RouteTopKImpls() { return kImpls; }

Status RouteTopK(const RouteTopKArgs& args) { return ForOp(RouteTopKImpls()).run(args); }

}  // namespace penstock::kernels
