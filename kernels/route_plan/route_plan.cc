#include "kernels/route_plan/route_plan.h"

#include <limits>

namespace penstock::kernels {
namespace {

constexpr RoutePlanImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, RoutePlanCuda},
    {"reference", Isa::kReference, AlwaysSupported, RoutePlanReference},
};

}  // namespace

Cost RoutePlanCost(int64_t rows, int64_t k, int64_t experts) {
  const double pairs = static_cast<double>(rows) * static_cast<double>(k);
  return {2 * pairs, 16 * pairs + 8 * static_cast<double>(experts)};
}

Status CheckRoutePlan(const RoutePlanArgs& args) {
  if (args.rows < 0 || args.k < 0 || args.experts < 0) {
    return {Code::kInvalidArgument, "route_plan: negative size"};
  }
  if (args.k > 0 && args.rows > std::numeric_limits<int32_t>::max() / args.k) {
    return {Code::kUnsupported, "route_plan: more than 2^31 pairs"};
  }
  if (args.plan.offsets == nullptr || (args.experts > 0 && args.plan.counts == nullptr)) {
    return {Code::kInvalidArgument, "route_plan: null operand"};
  }
  if (args.rows * args.k == 0) return {};
  if (args.ids == nullptr || args.plan.src == nullptr || args.plan.dst == nullptr) {
    return {Code::kInvalidArgument, "route_plan: null operand"};
  }
  return {};
}

std::span<const RoutePlanImpl> RoutePlanImpls() { return kImpls; }

Status RoutePlan(const RoutePlanArgs& args) { return ForOp(RoutePlanImpls()).run(args); }

}  // namespace penstock::kernels
