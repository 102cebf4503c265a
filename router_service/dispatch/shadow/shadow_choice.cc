#include "router_service/dispatch/shadow/shadow_choice.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "router_service/dispatch/batch/load_prices.h"
#include "router_service/gating/top_k.h"
#include "router_service/recording/answered_expert.h"
#include "router_service/selection/timely_score.h"

namespace penstock::router {
namespace {

// Of this thread, and not those of the live decision: pools without a shadow share nothing with it.
struct Workspace {
  std::vector<float> work, logits, mass;
  std::vector<uint8_t> admissible;
  std::vector<Exclusion> excluded;
  CandidateColumns candidates;
  SelectionResult result;
  Selector selector;
};

std::vector<size_t> Chosen(const SelectionResult& result) {
  std::vector<size_t> experts;
  for (const SelectedExpert& chosen : result.chosen) experts.push_back(chosen.expert);
  std::sort(experts.begin(), experts.end());
  return experts;
}

}  // namespace

std::unique_ptr<const ShadowChoice> ChooseByShadow(const RouteRequest& request,
                                                   const ExpertChoice& live, const FeatureBuffer& z,
                                                   CounterRandom random, absl::Time now,
                                                   bool mean_answers) {
  const Pool& pool = *request.pool;
  const PoolRooms* const rooms = pool.rooms->shadow.get();
  if (rooms == nullptr || !IsChosen(live.selection) || !request.forced.empty()) return nullptr;
  static thread_local Workspace at;
  const size_t experts = pool.experts.size();
  auto choice = std::make_unique<ShadowChoice>();
  choice->quality.resize(experts);
  at.work.resize(experts);
  rooms->quality->Predict(z.view(), {absl::MakeSpan(choice->quality), {}, absl::MakeSpan(at.work)});
  if (mean_answers) std::fill(at.work.begin(), at.work.end(), 1.0f);

  const absl::Span<const Exclusion> standing = live.candidates->excluded();
  at.excluded.assign(standing.begin(), standing.end());
  at.admissible.resize(experts);
  for (size_t i = 0; i < experts; ++i) at.admissible[i] = standing[i] == Exclusion::kNone;
  at.logits.assign(experts, 0);
  at.mass.resize(experts);
  if (z.finite) rooms->gate->Score(z.dense, at.admissible, random, absl::MakeSpan(at.logits));
  GateMass(at.logits, at.admissible, absl::MakeSpan(at.mass));

  const bool by_mass = pool.config.selection().score() == config::v1::Selection::GATE_MASS;
  at.candidates.Resize(experts);
  for (size_t i = 0; i < experts; ++i) {
    SelectionCandidate candidate = (*live.candidates)[i];
    candidate.excluded = standing[i];
    candidate.quality = choice->quality[i];
    candidate.weight = at.mass[i];
    const CostEstimate estimate = pool.record->cost.Estimate(
        i, request.application_class, static_cast<uint64_t>(request.rows),
        LeastLoad(pool.experts[i], now), at.work[i]);
    candidate.latency_s = estimate.latency_s;
    candidate.idle_latency_s = estimate.idle_latency_s;
    candidate.energy_j = estimate.energy_j;
    candidate.score = TimelyScore(by_mass ? at.mass[i] : choice->quality[i], estimate.latency_s,
                                  estimate.p99_latency_s, live.limits.time_left_s);
    at.candidates.Set(i, candidate);
  }
  if (live.load != nullptr) ApplyLoadPrices(*live.load, ValueOf(pool), at.candidates);
  if (live.amounts != nullptr) {
    ApplyPrices(live.others, *live.amounts, ValueOf(pool), at.candidates);
  }
  SelectionLimits limits = live.limits;
  if (!pool.config.selection().has_max_experts() && pool.config.shadow().has_gate()) {
    limits.max_experts = std::max<size_t>(1, rooms->gate->k());
    if (rooms->count != nullptr && z.finite) {
      limits.max_experts = std::min(limits.max_experts, rooms->count->Count(z.dense));
    }
    if (request.parameters.max_experts) {
      limits.max_experts = std::min<size_t>(limits.max_experts, *request.parameters.max_experts);
    }
    limits.max_experts = std::min({limits.max_experts, experts, Selector::kMaxExperts});
  }
  at.selector.Select(at.candidates, limits, absl::MakeSpan(at.excluded), at.result);
  if (!IsChosen(at.result)) return nullptr;

  const std::vector<size_t> chosen = Chosen(at.result);
  choice->experts = absl::StrJoin(chosen, ",", [&pool](std::string* out, size_t expert) {
    out->append(pool.expert_names[expert]);
  });
  choice->compared.agreed = chosen == Chosen(live.selection);
  choice->compared.live_quality = live.selection.quality;
  choice->compared.shadow_quality = at.result.quality;
  choice->compared.live_energy_j = live.selection.energy_j;
  choice->compared.shadow_energy_j = at.result.energy_j;
  return choice;
}

void DescribeShadow(const RouteRequest& request, const ShadowChoice& shadow,
                    v1::Decision& decision) {
  decision.set_shadow_expert(shadow.experts);
  const v1::Run* const answered = AnsweredRun(decision);
  if (answered == nullptr) return;
  const std::optional<size_t> expert = request.pool->FindExpert(answered->expert());
  if (expert) decision.set_shadow_quality(shadow.quality[*expert]);
}

}  // namespace penstock::router
