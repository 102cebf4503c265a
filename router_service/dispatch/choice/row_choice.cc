#include "router_service/dispatch/choice/row_choice.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/dispatch/choice/expected_amounts.h"
#include "router_service/gating/top_k.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

// Joules of a call and of each row in it.
struct CallCost {
  double per_call_j = 0;
  double per_row_j = 0;
};

CallCost CostOf(const RouteRequest& request, size_t expert) {
  const CostModel& cost = request.pool->record->cost;
  const double one = cost.Estimate(expert, request.application_class, 1, {}).energy_j;
  const double two = cost.Estimate(expert, request.application_class, 2, {}).energy_j;
  CallCost out;
  out.per_row_j = std::max(0.0, two - one);
  out.per_call_j = std::max(0.0, one - out.per_row_j);
  return out;
}

Exclusion ExclusionOf(const RouteRequest& request, size_t expert) {
  const PoolExpert& item = request.pool->experts[expert];
  if (!item.admitted) return Exclusion::kLeftOut;
  if (!item.healthy()) return Exclusion::kUnhealthy;
  if (!item.available()) return Exclusion::kBreaker;
  if (!request.forced.empty() &&
      std::find(request.forced.begin(), request.forced.end(), expert) == request.forced.end()) {
    return Exclusion::kNotForced;
  }
  return Exclusion::kNone;
}

// Calls that a group of rows takes: an expert's limit cuts it.
int64_t CallsFor(const PoolExpert& expert, int64_t rows) {
  if (expert.max_rows <= 0) return 1;
  return (rows + expert.max_rows - 1) / expert.max_rows;
}

std::vector<RowPair> PairsOf(const RouteRequest& request, const ScoredRows& scored,
                             const std::vector<CallCost>& costs) {
  std::vector<RowPair> pairs;
  pairs.reserve(scored.ids.size());
  for (int64_t row = 0; row < request.rows; ++row) {
    for (int64_t slot = 0; slot < scored.k; ++slot) {
      const size_t at = static_cast<size_t>(row * scored.k + slot);
      if (scored.ids[at] < 0) continue;
      const uint32_t expert = static_cast<uint32_t>(scored.ids[at]);
      pairs.push_back({static_cast<uint32_t>(row), expert, scored.weights[at],
                       costs[expert].per_row_j});
    }
  }
  return pairs;
}

std::vector<RowGroup> GroupByExpert(const std::vector<RowPair>& pairs,
                                    const std::vector<uint8_t>& keep, size_t experts) {
  std::vector<RowGroup> groups(experts);
  int32_t slot = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i > 0 && pairs[i].row != pairs[i - 1].row) slot = 0;
    if (!keep[i]) continue;
    RowGroup& group = groups[pairs[i].expert];
    group.expert = pairs[i].expert;
    group.rows.push_back(static_cast<int32_t>(pairs[i].row));
    group.weights.push_back(static_cast<float>(pairs[i].weight));
    group.slots.push_back(slot++);
  }
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [](const RowGroup& group) { return group.rows.empty(); }),
               groups.end());
  return groups;
}

}  // namespace

absl::StatusOr<ScoredRows> ScoreRows(const RouteRequest& request, CounterRandom& random,
                                     absl::Time now) {
  const Pool& pool = *request.pool;
  const PoolRooms& rooms = *pool.rooms;
  const size_t experts = pool.experts.size();
  ScoredRows scored;
  scored.candidates.resize(experts);
  std::vector<uint8_t> admissible(experts);
  std::vector<float> quality(experts);
  rooms.quality->Predict(FeatureView::Unknown(), absl::MakeSpan(quality));
  for (size_t i = 0; i < experts; ++i) {
    SelectionCandidate& candidate = scored.candidates[i];
    candidate.quality = quality[i];
    candidate.excluded = ExclusionOf(request, i);
    admissible[i] = candidate.excluded == Exclusion::kNone;
    const CostEstimate one =
        pool.record->cost.Estimate(i, request.application_class, 1, LeastLoad(pool.experts[i], now));
    candidate.latency_s = one.latency_s;
    candidate.idle_latency_s = one.idle_latency_s;
    candidate.energy_j = one.energy_j;
  }
  if (std::none_of(admissible.begin(), admissible.end(), [](uint8_t can) { return can != 0; })) {
    return Because(Refusal::kNoExpert,
                   absl::UnavailableError(absl::StrCat("pool ", pool.name(),
                                                       " has no expert that can be asked: ",
                                                       pool.NotReadyBecause())));
  }

  std::vector<float> z;
  std::vector<uint8_t> finite;
  if (rooms.features->dimension() > 0) {
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t rows,
                              rooms.features->ExtractRows(request.inputs, z, finite));
    if (rows != request.rows) return absl::InternalError("features see other rows than the contract");
  }
  std::vector<float> logits(static_cast<size_t>(request.rows) * experts);
  rooms.gate->ScoreRows(request.rows, z, admissible, random, absl::MakeSpan(logits));
  for (size_t row = 0; row < finite.size(); ++row) {
    if (finite[row]) continue;
    // Nobody is preferred for a row that is not finite; the others keep their experts.
    for (size_t i = 0; i < experts; ++i) logits[row * experts + i] = admissible[i] ? 0 : -INFINITY;
  }
  size_t k = pool.config.selection().has_max_experts() ? pool.config.selection().max_experts()
                                                       : std::max<size_t>(1, rooms.gate->k());
  if (request.parameters.max_experts) k = std::min<size_t>(k, *request.parameters.max_experts);
  scored.k = static_cast<int64_t>(std::min(k, experts));
  scored.ids.assign(static_cast<size_t>(request.rows * scored.k), -1);
  scored.weights.assign(scored.ids.size(), 0);
  if (request.rows == 0) return scored;
  PENSTOCK_ASSIGN_OR_RETURN(
      const RowChoiceStatistics statistics,
      ChooseTopKRows(request.rows, static_cast<int64_t>(experts), absl::MakeSpan(logits), admissible,
                     scored.k, absl::MakeSpan(scored.ids), absl::MakeSpan(scored.weights)));
  if (statistics.rows_without_expert > 0) {
    return absl::InternalError(absl::StrCat("pool ", pool.name(), ": the gate found no expert for ",
                                            statistics.rows_without_expert, " rows"));
  }
  for (size_t i = 0; i < scored.ids.size(); ++i) {
    if (scored.ids[i] < 0) continue;
    scored.candidates[static_cast<size_t>(scored.ids[i])].weight +=
        scored.weights[i] / static_cast<double>(request.rows);
  }
  return scored;
}

absl::StatusOr<RowChoice> ChooseRows(const RouteRequest& request, const ScoredRows& scored,
                                     const BudgetView& budgets, absl::Time now) {
  const Pool& pool = *request.pool;
  const size_t experts = pool.experts.size();
  const bool degrade = pool.config.on_infeasible() == config::v1::Pool::DEGRADE;
  std::vector<CallCost> costs;
  for (size_t i = 0; i < experts; ++i) costs.push_back(CostOf(request, i));
  std::vector<RowPair> pairs = PairsOf(request, scored, costs);

  // What the calls themselves take is not the trimmer's to save.
  std::vector<int64_t> rows_of(experts, 0);
  for (const RowPair& pair : pairs) ++rows_of[pair.expert];
  double calls_j = 0;
  for (size_t i = 0; i < experts; ++i) {
    if (rows_of[i] > 0) {
      calls_j += costs[i].per_call_j * static_cast<double>(CallsFor(pool.experts[i], rows_of[i]));
    }
  }
  RowChoice choice;
  RowTrimLimits limits;
  limits.value = ValueOf(pool);
  limits.price_per_joule = budgets.price_per_joule;
  limits.energy_cap_j =
      std::max(0.0, std::min(request.energy_cap_j, budgets.headroom_j) - calls_j);
  limits.rows = static_cast<size_t>(request.rows);
  std::vector<uint8_t> keep(pairs.size(), 1);
  static thread_local RowTrimmer trimmer;
  trimmer.Trim(absl::MakeSpan(pairs), limits, absl::MakeSpan(keep), choice.trim);
  // A request that keeps to its own cap got what it asked for.
  const bool budgets_bind = budgets.headroom_j < request.energy_cap_j;
  if (choice.trim.dropped_by_cap > 0 && budgets_bind) choice.degraded = "budget";

  choice.groups = GroupByExpert(pairs, keep, experts);
  double idle_latency_s = 0;
  for (RowGroup& group : choice.groups) {
    const PoolExpert& expert = pool.experts[group.expert];
    const int64_t rows = static_cast<int64_t>(group.rows.size());
    const CostEstimate estimate =
        pool.record->cost.Estimate(group.expert, request.application_class,
                                   static_cast<uint64_t>(rows), LeastLoad(expert, now));
    group.latency_s = estimate.latency_s;
    group.energy_j = costs[group.expert].per_row_j * static_cast<double>(rows) +
                     costs[group.expert].per_call_j * static_cast<double>(CallsFor(expert, rows));
    choice.latency_s = std::max(choice.latency_s, group.latency_s);
    idle_latency_s = std::max(idle_latency_s, estimate.idle_latency_s);
    choice.energy_j += group.energy_j;
  }
  const std::string figures =
      absl::StrCat("each row's best experts take ", choice.energy_j, " J and ",
                   choice.latency_s * 1e3, " ms");
  if (choice.energy_j > request.energy_cap_j) {
    if (!degrade) {
      return Because(Refusal::kEnergyBudget,
                     absl::FailedPreconditionError(
                         absl::StrCat("no choice of experts meets penstock_energy_budget_j ",
                                      request.energy_cap_j, ": ", figures)));
    }
    choice.degraded = "budget";
  }
  if (choice.latency_s > request.TimeLeft(now)) {
    if (!degrade && !request.ask_late) {
      const std::string message =
          absl::StrCat("no choice of experts meets the latency budget of ",
                       request.latency_budget_s * 1e3, " ms: ", figures);
      return Because(Refusal::kDeadline, idle_latency_s > request.latency_budget_s
                                             ? absl::FailedPreconditionError(message)
                                             : absl::DeadlineExceededError(message));
    }
    choice.degraded = "deadline";
  }
  return choice;
}

Amounts RowAmounts(const RouteRequest& request, const RowChoice& choice, bool others) {
  Amounts sum;
  if (others) {
    for (const RowGroup& group : choice.groups) {
      sum += ExpectedAmounts(request, group.expert, static_cast<uint64_t>(group.rows.size()), 1, 0);
    }
  }
  sum.energy_j = choice.energy_j;
  return sum;
}

void DescribeRows(const RouteRequest& request, const ScoredRows& scored, const RowChoice* choice,
                  v1::Decision& decision) {
  for (size_t i = 0; i < scored.candidates.size(); ++i) {
    const SelectionCandidate& from = scored.candidates[i];
    v1::Candidate& candidate = *decision.add_candidates();
    candidate.set_expert(request.pool->expert_names[i]);
    candidate.set_quality(from.quality);
    candidate.set_gate(from.weight);
    candidate.set_latency_ms(from.latency_s * 1e3);
    candidate.set_energy_j(from.energy_j);
    if (from.excluded != Exclusion::kNone) {
      candidate.set_excluded(std::string(ExclusionName(from.excluded)));
    }
  }
  decision.set_exact(true);
  if (choice == nullptr) return;
  decision.set_predicted_latency_ms(choice->latency_s * 1e3);
  decision.set_predicted_energy_j(choice->energy_j);
  decision.set_degraded(choice->degraded);
  decision.set_reason(absl::StrCat(request.rows, " rows, each to its gate's ", scored.k,
                                   " best experts; ", choice->trim.dropped,
                                   " pairs were not worth or not covered by joules"));
}

}  // namespace penstock::router
