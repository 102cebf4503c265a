#include "router_service/dispatch/explain/explained_limits.h"

#include <cmath>

#include "router_service/selection/counterfactual.h"

namespace penstock::router {
namespace {

v1::Counterfactual::Limit LimitOf(LimitName name) {
  switch (name) {
    case LimitName::kEnergyCap:
      return v1::Counterfactual::ENERGY_BUDGET;
    case LimitName::kHeadroom:
      return v1::Counterfactual::HEADROOM;
    case LimitName::kTimeLeft:
      return v1::Counterfactual::TIME_LEFT;
    case LimitName::kPrice:
      return v1::Counterfactual::PRICE_PER_JOULE;
    case LimitName::kMinQuality:
      return v1::Counterfactual::MIN_QUALITY;
  }
  return v1::Counterfactual::ENERGY_BUDGET;
}

}  // namespace

void DescribeCounterfactuals(const RouteRequest& request, const ExpertChoice& choice,
                             v1::Decision& decision) {
  for (const Counterfactual& from :
       Counterfactuals(*choice.candidates, choice.limits, choice.first, choice.selection)) {
    v1::Counterfactual& to = *decision.add_counterfactuals();
    const double unit = from.limit == LimitName::kTimeLeft ? 1e3 : 1;  // seconds are told in ms
    to.set_limit(LimitOf(from.limit));
    to.set_bound(from.bound * unit);
    to.set_exclusive(from.exclusive);
    if (std::isfinite(from.present)) to.set_change((from.bound - from.present) * unit);
    const absl::Status status =
        SelectionStatus(from.selection, choice.limits, request.pool->expert_names);
    to.set_status(absl::StatusCodeToString(status.code()));
    if (from.selection.chosen.empty()) continue;
    for (const SelectedExpert& chosen : from.selection.chosen) {
      to.add_experts(request.pool->expert_names[chosen.expert]);
    }
    if (!choice.selection.chosen.empty()) {
      to.set_quality_gained(from.selection.quality - choice.selection.quality);
    }
    to.set_energy_j(from.selection.energy_j);
    to.set_latency_ms(from.selection.latency_s * 1e3);
  }
}

}  // namespace penstock::router
