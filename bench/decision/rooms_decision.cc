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
        quality_(of.pool().experts.size()),
        logits_(of.pool().experts.size()),
        mass_(of.pool().experts.size()),
        admissible_(of.pool().experts.size()) {
    choice_.excluded.resize(of.pool().experts.size());
    columns_->Resize(of.pool().experts.size());
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
      choice_.candidates = columns_;
    } else {
      choice_.candidates = case_.scored(i).candidates;
    }
    SelectionLimits& limits = choice_.limits;
    limits.price_per_joule = reservation_.price_per_joule();
    limits.headroom_j = reservation_.headroom_j();
    limits.latency_budget_s = request.latency_budget_s;
    limits.time_left_s = request.TimeLeft(now);
    limits.energy_cap_j = request.energy_cap_j;
    const absl::Span<const Exclusion> standing = choice_.candidates->excluded();
    std::copy(standing.begin(), standing.end(), choice_.excluded.begin());
    selector_.Select(*choice_.candidates, limits, absl::MakeSpan(choice_.excluded),
                     choice_.selection);
    PENSTOCK_RETURN_IF_ERROR(
        SelectionStatus(choice_.selection, limits, request.pool->expert_names));
    if (!reservation_.TryHold(choice_.selection.energy_j)) {
      reservation_.Hold(choice_.selection.energy_j);
    }
    return &choice_;
  }

  void End() override {
    options_.clear();
    const CandidateColumns& candidates = *choice_.candidates;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (choice_.excluded[i] == Exclusion::kNone || choice_.excluded[i] == Exclusion::kBudget) {
        options_.push_back({choice_.limits.value * candidates.score()[i], candidates.energy_j()[i]});
      }
    }
    reservation_.RecordDecision(0, options_, choice_.limits.max_experts);
    reservation_.Settle({choice_.selection.energy_j, 0, 0});
  }

 private:
  absl::Status Score(const RouteRequest& request, size_t i, absl::Time now) {
    const PoolRooms& rooms = *request.pool->rooms;
    PENSTOCK_RETURN_IF_ERROR(rooms.features->Extract({request.inputs}, z_));
    rooms.quality->Predict(z_.view(), absl::MakeSpan(quality_));
    for (size_t expert = 0; expert < quality_.size(); ++expert) {
      SelectionCandidate candidate;
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
      columns_->Set(expert, candidate);
    }
    CounterRandom random(1, i);
    rooms.gate->Score(z_.dense, admissible_, random, absl::MakeSpan(logits_));
    GateMass(logits_, admissible_, absl::MakeSpan(mass_));
    for (size_t expert = 0; expert < mass_.size(); ++expert) {
      columns_->SetPreference(expert, quality_[expert], mass_[expert]);
    }
    return absl::OkStatus();
  }

  DecisionCase& case_;
  const bool with_features_;
  FeatureBuffer z_;
  std::vector<float> quality_, logits_, mass_;
  std::vector<uint8_t> admissible_;
  std::vector<PricedOption> options_;
  Selector selector_;
  Reservation reservation_;
  const std::shared_ptr<CandidateColumns> columns_ = std::make_shared<CandidateColumns>();
  ExpertChoice choice_;
};

}  // namespace

std::unique_ptr<DecisionContender> MakeRoomsDecision(DecisionCase& of, bool with_features) {
  return std::make_unique<RoomsDecision>(of, with_features);
}

}  // namespace penstock::router
