#include "router_service/guards/score_precision.h"

#include <cmath>

namespace penstock::router {
namespace {

double TwoDecimals(double score) { return std::round(score * 100) / 100; }

// Prices are small: of what is not 0, the first two digits.
double TwoDigits(double price) {
  if (price == 0 || !std::isfinite(price)) return price;
  const double unit = std::pow(10, std::floor(std::log10(std::abs(price))) - 1);
  return std::round(price / unit) * unit;
}

}  // namespace

void CoarsenScores(v1::Decision& decision) {
  for (v1::Candidate& candidate : *decision.mutable_candidates()) {
    candidate.set_quality(TwoDecimals(candidate.quality()));
    candidate.set_gate(TwoDecimals(candidate.gate()));
    candidate.set_load_price(TwoDecimals(candidate.load_price()));
  }
  for (v1::Run& run : *decision.mutable_runs()) {
    run.set_weight(TwoDecimals(run.weight()));
    run.set_confidence(TwoDecimals(run.confidence()));
    for (auto& [objective, part] : *run.mutable_contributions()) part = TwoDecimals(part);
  }
  for (v1::Counterfactual& other : *decision.mutable_counterfactuals()) {
    other.set_quality_gained(TwoDecimals(other.quality_gained()));
    // Where the choice turns is a score, or says what one is worth.
    const bool price = other.limit() == v1::Counterfactual::PRICE_PER_JOULE;
    if (!price && other.limit() != v1::Counterfactual::MIN_QUALITY) continue;
    const auto coarse = price ? TwoDigits : TwoDecimals;
    other.set_bound(coarse(other.bound()));
    if (other.has_change()) other.set_change(coarse(other.change()));
  }
  decision.set_optimality_gap(TwoDecimals(decision.optimality_gap()));
  if (decision.has_shadow_quality()) {
    decision.set_shadow_quality(TwoDecimals(decision.shadow_quality()));
  }
  if (decision.has_propensity()) decision.set_propensity(TwoDecimals(decision.propensity()));
  decision.clear_certified_radius();
  decision.clear_features();
}

void CoarsenScores(v1::ListExpertsResponse& response) {
  for (v1::ExpertStatus& expert : *response.mutable_experts()) {
    expert.set_share(TwoDecimals(expert.share()));
  }
}

void CoarsenScores(v1::GetPlanResponse& response) {
  for (v1::ClassPlan& plan : *response.mutable_classes()) {
    plan.set_value(TwoDecimals(plan.value()));
    plan.set_gap(TwoDecimals(plan.gap()));
  }
}

}  // namespace penstock::router
