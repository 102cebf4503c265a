#include <algorithm>

#include "kernels/route_plan/route_plan.h"

namespace penstock::kernels {

// Integers only, a few nanoseconds a pair: no vector entry would pay.
Status RoutePlanReference(const RoutePlanArgs& args) {
  const Status status = CheckRoutePlan(args);
  if (!status.ok()) return status;
  const int64_t pairs = args.rows * args.k;
  const PlanView& plan = args.plan;
  const auto valid = [&](int32_t id) { return id >= 0 && id < args.experts; };
  std::fill_n(plan.offsets, args.experts + 1, 0);
  for (int64_t pair = 0; pair < pairs; ++pair) {
    plan.src[pair] = -1;
    if (valid(args.ids[pair])) ++plan.offsets[args.ids[pair] + 1];
  }
  // offsets[e + 1] becomes the start of e; filling moves it on to the end of e, its final value.
  int32_t start = 0;
  for (int64_t e = 0; e < args.experts; ++e) {
    plan.counts[e] = plan.offsets[e + 1];
    plan.offsets[e + 1] = start;
    start += plan.counts[e];
  }
  for (int64_t pair = 0; pair < pairs; ++pair) {
    plan.dst[pair] = -1;
    if (!valid(args.ids[pair])) continue;
    const int32_t at = plan.offsets[args.ids[pair] + 1]++;
    plan.src[at] = static_cast<int32_t>(pair);
    plan.dst[pair] = at;
  }
  return status;
}

}  // namespace penstock::kernels
