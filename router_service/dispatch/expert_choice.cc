#include "router_service/dispatch/expert_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/gating/top_k.h"

namespace penstock::router {
namespace {

absl::string_view ObjectiveName(Objective objective) {
  switch (objective) {
    case Objective::kQuality: return "quality";
    case Objective::kEnergy: return "energy";
    case Objective::kLatency: return "latency";
  }
  return "quality";
}

Exclusion StandingExclusion(const PoolExpert& expert, int64_t rows) {
  if (!expert.admitted) return Exclusion::kLeftOut;
  if (!expert.healthy()) return Exclusion::kUnhealthy;
  if (expert.max_rows > 0 && rows > expert.max_rows) return Exclusion::kPlan;
  return Exclusion::kNone;
}

// The workspace is reused, and a decision stays on its thread.
Selector& ThreadSelector() {
  thread_local Selector selector;
  return selector;
}

// Likewise: the features of a prompt are some thousand entries.
FeatureBuffer& ThreadFeatures() {
  thread_local FeatureBuffer buffer;
  return buffer;
}

bool IsChosen(const SelectionResult& result) {
  return result.verdict == SelectionVerdict::kChosen ||
         result.verdict == SelectionVerdict::kDegraded;
}

}  // namespace

ReplicaLoad LeastLoad(const PoolExpert& expert, absl::Time now) {
  ReplicaLoad least;
  bool any = false;
  for (const std::shared_ptr<Replica>& replica : expert.replicas) {
    if (!replica->healthy()) continue;
    const ReplicaLoad load = replica->Load(now);
    if (!any || load.queue_depth + load.in_flight < least.queue_depth + least.in_flight) {
      least = load;
      any = true;
    }
  }
  return least;
}

double ValueOf(const Pool& pool) {
  return pool.config.selection().has_value() ? pool.config.selection().value() : 1;
}

absl::StatusOr<ScoredExperts> ScoreExperts(const RouteRequest& request, CounterRandom& random,
                                           absl::Time now, bool mean_answers) {
  const Pool& pool = *request.pool;
  const PoolRooms& rooms = *pool.rooms;
  const size_t experts = pool.experts.size();
  ScoredExperts scored;
  auto candidates = std::make_shared<CandidateColumns>(experts);

  FeatureBuffer& z = ThreadFeatures();
  PENSTOCK_RETURN_IF_ERROR(
      rooms.features->Extract({request.inputs, request.header.parameters}, z));
  scored.finite = z.finite;
  static thread_local std::vector<float> quality;
  quality.resize(experts);
  scored.work.resize(experts);
  rooms.quality->Predict(z.view(), {absl::MakeSpan(quality), {}, absl::MakeSpan(scored.work)});
  if (mean_answers) std::fill(scored.work.begin(), scored.work.end(), 1.0f);

  static thread_local std::vector<uint8_t> admissible;
  admissible.resize(experts);
  for (size_t i = 0; i < experts; ++i) {
    SelectionCandidate candidate;
    candidate.excluded = StandingExclusion(pool.experts[i], request.rows);
    admissible[i] = candidate.excluded == Exclusion::kNone;
    candidate.quality = quality[i];
    const CostEstimate estimate = pool.record->cost.Estimate(
        i, request.application_class, static_cast<uint64_t>(request.rows),
        LeastLoad(pool.experts[i], now), scored.work[i]);
    candidate.latency_s = estimate.latency_s;
    candidate.idle_latency_s = estimate.idle_latency_s;
    candidate.energy_j = estimate.energy_j;
    candidates->Set(i, candidate);
  }

  static thread_local std::vector<float> logits, mass;
  logits.assign(experts, 0);  // features that are not finite: nobody is preferred
  if (scored.finite) rooms.gate->Score(z.dense, admissible, random, absl::MakeSpan(logits));
  mass.resize(experts);
  GateMass(logits, admissible, absl::MakeSpan(mass));
  // A random gate is there to choose at random: by quality it would never be asked.
  const bool by_mass = pool.config.selection().score() == config::v1::Selection::GATE_MASS ||
                       pool.config.gate().has_random();
  for (size_t i = 0; i < experts; ++i) {
    candidates->SetPreference(i, by_mass ? mass[i] : quality[i], mass[i]);
  }
  scored.candidates = std::move(candidates);
  scored.max_experts = pool.config.selection().has_max_experts()
                           ? pool.config.selection().max_experts()
                           : std::max<size_t>(1, rooms.gate->k());
  if (request.parameters.max_experts) {
    scored.max_experts = std::min<size_t>(scored.max_experts, *request.parameters.max_experts);
  }
  scored.max_experts = std::min({scored.max_experts, experts, Selector::kMaxExperts});
  return scored;
}

ExpertChoice ChooseExperts(const RouteRequest& request, const ScoredExperts& scored,
                           const BudgetView& budgets, absl::Time now) {
  const Pool& pool = *request.pool;
  ExpertChoice choice;
  choice.candidates = scored.candidates;
  const absl::Span<const Exclusion> standing = scored.candidates->excluded();
  choice.excluded.assign(standing.begin(), standing.end());
  choice.work = scored.work;
  SelectionLimits& limits = choice.limits;
  limits.max_experts = scored.max_experts;
  limits.value = ValueOf(pool);
  limits.price_per_joule = budgets.price_per_joule;
  limits.latency_budget_s = request.latency_budget_s;
  limits.time_left_s = request.TimeLeft(now);
  limits.energy_cap_j = request.energy_cap_j;
  limits.headroom_j = budgets.headroom_j;
  limits.min_quality = request.min_quality;
  limits.objective = request.objective;
  limits.degrade = pool.config.on_infeasible() == config::v1::Pool::DEGRADE;
  limits.forced = request.forced;

  // A cascade's first answer comes whatever the price, because nothing is known before it. A promise of
  // quality, or another objective, is for one expert to keep.
  const bool cascade = pool.rooms->cascade != nullptr && request.forced.empty() &&
                       request.objective == Objective::kQuality && request.min_quality == 0;
  if (cascade) {
    const uint32_t first[] = {static_cast<uint32_t>(*pool.cascade_first)};
    limits.forced = first;
    limits.degrade = false;
    limits.headroom_j = SelectionLimits::kNone;
    ThreadSelector().Select(*choice.candidates, limits, absl::MakeSpan(choice.excluded),
                            choice.selection);
    limits.forced = {};
    limits.degrade = pool.config.on_infeasible() == config::v1::Pool::DEGRADE;
    limits.headroom_j = budgets.headroom_j;
    if (choice.selection.verdict == SelectionVerdict::kChosen) {
      choice.cascade = true;
      // The others were not in the question; they may be asked next.
      choice.excluded.assign(standing.begin(), standing.end());
  choice.work = scored.work;
      return choice;
    }
    choice.selection = SelectionResult();
    choice.excluded.assign(standing.begin(), standing.end());
  choice.work = scored.work;
  }
  ThreadSelector().Select(*choice.candidates, limits, absl::MakeSpan(choice.excluded),
                          choice.selection);
  return choice;
}

void DescribeRequest(const RouteRequest& request, double price_per_joule, v1::Decision& decision) {
  decision.set_pool(request.pool->name());
  decision.set_tenant(request.caller.tenant);
  decision.set_application_class(request.parameters.application_class);
  decision.set_rows(static_cast<uint64_t>(request.rows));
  decision.set_objective(std::string(ObjectiveName(request.objective)));
  if (std::isfinite(request.latency_budget_s)) {
    decision.set_latency_budget_ms(request.latency_budget_s * 1e3);
  }
  if (std::isfinite(request.energy_cap_j)) decision.set_energy_budget_j(request.energy_cap_j);
  (*decision.mutable_prices())["joule"] = price_per_joule;
}

void DescribeChoice(const RouteRequest& request, const ExpertChoice& choice,
                    v1::Decision& decision) {
  decision.mutable_candidates()->Reserve(static_cast<int>(choice.excluded.size()));
  for (size_t i = 0; i < choice.excluded.size(); ++i) {
    const SelectionCandidate from = (*choice.candidates)[i];
    const Exclusion excluded = choice.excluded[i];
    v1::Candidate& candidate = *decision.add_candidates();
    candidate.set_expert(request.pool->expert_names[i]);
    candidate.set_quality(from.quality);
    candidate.set_gate(from.weight);
    candidate.set_latency_ms(from.latency_s * 1e3);
    candidate.set_energy_j(from.energy_j);
    if (excluded == Exclusion::kLeftOut) {
      candidate.set_excluded(
          absl::StrCat("left out: ", request.pool->experts[i].left_out_because));
    } else if (excluded != Exclusion::kNone) {
      candidate.set_excluded(std::string(ExclusionName(excluded)));
    }
  }
  const SelectionResult& selection = choice.selection;
  decision.set_exact(selection.exact);
  decision.set_optimality_gap(selection.gap);
  decision.set_predicted_latency_ms(selection.latency_s * 1e3);
  decision.set_predicted_energy_j(selection.energy_j);
  decision.set_degraded(std::string(DegradedName(selection.degraded)));
  if (!IsChosen(selection)) return;
  std::vector<std::string> names;
  for (const SelectedExpert& chosen : selection.chosen) {
    names.push_back(request.pool->expert_names[chosen.expert]);
  }
  const std::string who = absl::StrJoin(names, ", ");
  if (choice.cascade) {
    decision.set_reason(absl::StrCat(
        who, " answers first; a dearer expert is asked if ",
        request.pool->rooms->cascade->stages() ? "the answer is not sure enough for the stated risk"
                                               : "its gain is worth its joules"));
  } else if (!request.forced.empty()) {
    decision.set_reason(absl::StrCat(who, ": the caller's choice"));
  } else {
    decision.set_reason(absl::StrCat(who, ": the best by ", ObjectiveName(request.objective),
                                     " within budgets, at ", choice.limits.price_per_joule,
                                     " quality units a joule"));
  }
}

}  // namespace penstock::router
