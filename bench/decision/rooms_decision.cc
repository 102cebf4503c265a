#include <algorithm>
#include <utility>

#include "bench/decision/decision_contender.h"
#include "common/status_macros.h"
#include "router_service/gating/top_k.h"

namespace penstock::router {
namespace {

class RoomsDecision final : public DecisionContender {
 public:
  RoomsDecision(DecisionCase& of, bool with_features)
      : case_(of),
        with_features_(with_features),
        z_(DecisionCase::kFeatures),
        quality_(of.pool().experts.size()),
        logits_(of.pool().experts.size()),
        mass_(of.pool().experts.size()),
        admissible_(of.pool().experts.size()) {
    choice_.candidates.resize(of.pool().experts.size());
    choice_.limits.max_experts = of.k();
    options_.reserve(of.pool().experts.size());
  }

  std::string name() const override { return "rooms"; }

  absl::StatusOr<const ExpertChoice*> Decide(size_t i) override {
    const RouteRequest& request = case_.request(i);
    PENSTOCK_ASSIGN_OR_RETURN(reservation_,
                              case_.pacer().Open(request.pool->name(), request.caller.tenant));
    const absl::Time now = case_.clock().Now();
    if (with_features_) {
      PENSTOCK_RETURN_IF_ERROR(Score(request, i, now));
    } else {
      const ScoredExperts& scored = case_.scored(i);
      std::copy(scored.candidates.begin(), scored.candidates.end(), choice_.candidates.begin());
    }
    SelectionLimits& limits = choice_.limits;
    limits.price_per_joule = reservation_.price_per_joule();
    limits.headroom_j = reservation_.headroom_j();
    limits.latency_budget_s = request.latency_budget_s;
    limits.time_left_s = request.TimeLeft(now);
    limits.energy_cap_j = request.energy_cap_j;
    selector_.Select(absl::MakeSpan(choice_.candidates), limits, choice_.selection);
    PENSTOCK_RETURN_IF_ERROR(
        SelectionStatus(choice_.selection, limits, request.pool->expert_names));
    if (!reservation_.TryHold(choice_.selection.energy_j)) {
      reservation_.Hold(choice_.selection.energy_j);
    }
    return &choice_;
  }

  void End() override {
    options_.clear();
    for (const SelectionCandidate& candidate : choice_.candidates) {
      if (candidate.excluded == Exclusion::kNone || candidate.excluded == Exclusion::kBudget) {
        options_.push_back({choice_.limits.value * candidate.score, candidate.energy_j});
      }
    }
    reservation_.RecordDecision(0, options_, choice_.limits.max_experts);
    reservation_.Settle({choice_.selection.energy_j, 0, 0});
  }

 private:
  absl::Status Score(const RouteRequest& request, size_t i, absl::Time now) {
    const PoolRooms& rooms = *request.pool->rooms;
    bool finite = true;
    PENSTOCK_RETURN_IF_ERROR(rooms.features->Extract(request.inputs, absl::MakeSpan(z_), finite));
    rooms.quality->Predict(z_, absl::MakeSpan(quality_));
    for (size_t expert = 0; expert < quality_.size(); ++expert) {
      SelectionCandidate& candidate = choice_.candidates[expert];
      const PoolExpert& asked = request.pool->experts[expert];
      const CostEstimate estimate = request.pool->record->cost.Estimate(
          expert, request.application_class, static_cast<uint64_t>(request.rows),
          LeastLoad(asked, now));
      candidate.excluded = asked.healthy() ? Exclusion::kNone : Exclusion::kUnhealthy;
      admissible_[expert] = candidate.excluded == Exclusion::kNone;
      candidate.score = candidate.quality = quality_[expert];
      candidate.latency_s = estimate.latency_s;
      candidate.idle_latency_s = estimate.idle_latency_s;
      candidate.energy_j = estimate.energy_j;
    }
    CounterRandom random(1, i);
    rooms.gate->Score(z_, admissible_, random, absl::MakeSpan(logits_));
    GateMass(logits_, admissible_, absl::MakeSpan(mass_));
    for (size_t expert = 0; expert < mass_.size(); ++expert) {
      choice_.candidates[expert].weight = mass_[expert];
    }
    return absl::OkStatus();
  }

  DecisionCase& case_;
  const bool with_features_;
  std::vector<float> z_, quality_, logits_, mass_;
  std::vector<uint8_t> admissible_;
  std::vector<PricedOption> options_;
  Selector selector_;
  Reservation reservation_;
  ExpertChoice choice_;
};

}  // namespace

std::unique_ptr<DecisionContender> MakeRoomsDecision(DecisionCase& of, bool with_features) {
  return std::make_unique<RoomsDecision>(of, with_features);
}

}  // namespace penstock::router
