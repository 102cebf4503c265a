#include "router_service/dispatch/choice/expert_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/dispatch/choice/expected_amounts.h"
#include "router_service/gating/top_k.h"
#include "router_service/recording/choice_record.h"
#include "router_service/refusals/refusal.h"
#include "router_service/selection/other_prices.h"
#include "router_service/selection/timely_score.h"

namespace penstock::router {
namespace {

Exclusion StandingExclusion(const PoolExpert& expert, int64_t rows) {
  if (!expert.admitted) return Exclusion::kLeftOut;
  if (!expert.healthy()) return Exclusion::kUnhealthy;
  if (!expert.available()) return Exclusion::kBreaker;
  if (expert.max_rows > 0 && rows > expert.max_rows) return Exclusion::kPlan;
  return Exclusion::kNone;
}

// Who must not run whatever the request's limits: whom no replica serves, whom the class never
// asks, and whom the plan does not admit to it. A plan of which nobody is left binds nothing until
// there is another; what is forbidden stays so.
void StandingExclusions(const RouteRequest& request, std::vector<Exclusion>& excluded) {
  const Pool& pool = *request.pool;
  excluded.resize(pool.experts.size());
  for (size_t i = 0; i < excluded.size(); ++i) {
    excluded[i] = StandingExclusion(pool.experts[i], request.rows);
    if (excluded[i] == Exclusion::kNone && IsOthersOrGated(request, i)) {
      excluded[i] = Exclusion::kTenant;
    }
  }
  if (pool.record->planner == nullptr) return;
  for (const size_t expert : pool.record->planner->forbidden(request.application_class)) {
    if (excluded[expert] == Exclusion::kNone) excluded[expert] = Exclusion::kPlan;
  }
  const std::shared_ptr<const AdmissionPlan> plan = pool.record->planner->plan();
  if (plan == nullptr) return;
  const std::vector<uint8_t>& admitted = plan->classes[request.application_class].admitted;
  bool anybody = false;
  for (size_t i = 0; i < excluded.size(); ++i) {
    anybody = anybody || (excluded[i] == Exclusion::kNone && admitted[i]);
  }
  if (!anybody) return;
  for (size_t i = 0; i < excluded.size(); ++i) {
    if (excluded[i] == Exclusion::kNone && !admitted[i]) excluded[i] = Exclusion::kPlan;
  }
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

// Where the chosen are the gate's first ones: a choice that prices or limits changed has no margin
// of the gate's.
std::optional<double> CertifiedRadius(const Pool& pool, const ScoredExperts& scored,
                                      const SelectionResult& selection) {
  const StabilityCertificate* certificate = pool.rooms->guards.certificate.get();
  if (certificate == nullptr || scored.logits.empty() || selection.chosen.empty()) {
    return std::nullopt;
  }
  const absl::Span<const Exclusion> excluded = scored.candidates->excluded();
  std::vector<uint8_t> admissible(excluded.size());
  for (size_t i = 0; i < excluded.size(); ++i) admissible[i] = excluded[i] == Exclusion::kNone;
  const size_t k = selection.chosen.size();
  const absl::StatusOr<TopKChoice> first = ChooseTopK(scored.logits, admissible, k);
  if (!first.ok()) return std::nullopt;
  for (const SelectedExpert& chosen : selection.chosen) {
    const bool found = std::any_of(
        first->experts.begin(), first->experts.end(),
        [&](const WeightedExpert& expert) { return expert.expert == chosen.expert; });
    if (!found) return std::nullopt;
  }
  return certificate->Radius(scored.z, scored.logits, admissible, k);
}

// What keeps one expert from answering alone.
Exclusion StoppedBy(const CandidateColumns& candidates, size_t expert,
                    const SelectionLimits& limits) {
  const SelectionCandidate candidate = candidates[expert];
  if (candidate.excluded != Exclusion::kNone) return candidate.excluded;
  if (!(candidate.latency_s <= limits.time_left_s)) return Exclusion::kLatencyBudget;
  if (!(candidate.energy_j <= limits.energy_cap_j)) return Exclusion::kEnergyBudget;
  if (!(candidate.energy_j <= limits.headroom_j)) return Exclusion::kBudget;
  if (!(limits.LargestOf(expert) <= limits.largest_j)) return Exclusion::kLargestAnswer;
  return Exclusion::kNone;
}

void DescribeAmounts(const Amounts& amounts, v1::Candidate& candidate) {
  for (const Resource resource : kOtherResources) {
    (*candidate.mutable_amounts())[std::string(UnitName(resource))] = amounts[resource];
  }
}

std::string DescribeOtherPrices(const ExpertChoice& choice) {
  std::string text;
  for (const Resource resource : kOtherResources) {
    if (!choice.others[resource].binds()) continue;
    absl::StrAppend(&text, " and ", choice.others[resource].price,
                    resource == Resource::kDollars ? " a dollar" : " an accelerator second");
  }
  return text;
}

// As `penstock_degraded`; what the request's own cap forbids was not asked for.
absl::string_view DegradedBy(Exclusion stopped) {
  switch (stopped) {
    case Exclusion::kUnhealthy:
    case Exclusion::kBreaker:
    case Exclusion::kLeftOut:
    case Exclusion::kPlan:
      return "expert_failed";
    case Exclusion::kLatencyBudget:
      return "deadline";
    case Exclusion::kBudget:
    case Exclusion::kLargestAnswer:
      return "budget";
    case Exclusion::kNone:
    case Exclusion::kNotForced:
    case Exclusion::kTenant:
    case Exclusion::kEnergyBudget:
    case Exclusion::kMinQuality:
    case Exclusion::kNonFinite:
      return "";
  }
  return "";
}

}  // namespace

bool IsByMass(const config::v1::Pool& pool) {
  return pool.selection().score() == config::v1::Selection::GATE_MASS || pool.gate().has_random();
}

const FeatureBuffer& ScoredFeatures() { return ThreadFeatures(); }

ReplicaLoad LeastLoad(const PoolExpert& expert, absl::Time now) {
  ReplicaLoad least;
  bool any = false;
  for (const std::shared_ptr<Replica>& replica : expert.replicas) {
    if (!replica->available()) continue;
    const ReplicaLoad load = replica->Load(now);
    if (!any || load.queue_depth + load.in_flight < least.queue_depth + least.in_flight) {
      least = load;
      any = true;
    }
  }
  return least;
}

absl::Status ChoiceStatus(const RouteRequest& request, const ExpertChoice& choice) {
  const Pool& pool = *request.pool;
  absl::Status status = SelectionStatus(choice.selection, choice.limits, pool.expert_names);
  if (choice.selection.verdict != SelectionVerdict::kNoExpert) return status;
  std::string experts;
  for (size_t i = 0; i < choice.excluded.size(); ++i) {
    const Exclusion excluded = choice.excluded[i];
    if (excluded == Exclusion::kNone || excluded == Exclusion::kNotForced) continue;
    absl::StrAppend(&experts, experts.empty() ? "" : ", ", pool.expert_names[i], " (",
                    ExclusionName(excluded), ")");
  }
  return Because(Refusal::kNoExpert, absl::UnavailableError(absl::StrCat(
                                         "pool ", pool.name(), ": ", status.message(), ": ",
                                         experts)));
}

bool IsChosen(const SelectionResult& result) {
  return result.verdict == SelectionVerdict::kChosen ||
         result.verdict == SelectionVerdict::kDegraded;
}

bool IsInfeasible(const SelectionResult& result) {
  return result.verdict == SelectionVerdict::kInfeasible ||
         result.verdict == SelectionVerdict::kInfeasibleNow;
}

bool IsOnlyLate(const ExpertChoice& choice) {
  const SelectionResult& result = choice.selection;
  return result.verdict == SelectionVerdict::kDegraded &&
         result.degraded == Degraded::kDeadline &&
         result.energy_j <= choice.limits.energy_cap_j &&
         result.quality >= choice.limits.min_quality;
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
  const Explorer* const explorer = pool.record->explorer.get();
  static thread_local std::vector<float> uncertainty;
  uncertainty.resize(explorer == nullptr ? 0 : experts);
  rooms.quality->Predict(z.view(), {absl::MakeSpan(quality), absl::MakeSpan(uncertainty),
                                    absl::MakeSpan(scored.work)});
  if (explorer != nullptr) {
    scored.predicted = quality;
    scored.bonus.resize(experts);
    explorer->Estimate(z.view(), uncertainty, absl::MakeSpan(quality),
                       absl::MakeSpan(scored.bonus));
  }
  if (mean_answers) std::fill(scored.work.begin(), scored.work.end(), 1.0f);
  const BypassGate* const bypass = rooms.cascade == nullptr ? nullptr : rooms.cascade->bypass();
  if (bypass != nullptr && !bypass->Suffices(z.view())) scored.bypass_to = bypass->last();

  static thread_local std::vector<Exclusion> excluded;
  StandingExclusions(request, excluded);
  static thread_local std::vector<uint8_t> admissible;
  admissible.resize(experts);
  static thread_local std::vector<double> p99_latency_s;
  p99_latency_s.resize(experts);
  for (size_t i = 0; i < experts; ++i) {
    SelectionCandidate candidate;
    candidate.excluded = excluded[i];
    admissible[i] = candidate.excluded == Exclusion::kNone;
    candidate.quality = quality[i];
    const CostEstimate estimate = pool.record->cost.Estimate(
        i, request.application_class, static_cast<uint64_t>(request.rows),
        LeastLoad(pool.experts[i], now), scored.work[i]);
    candidate.latency_s = estimate.latency_s;
    candidate.idle_latency_s = estimate.idle_latency_s;
    candidate.energy_j = estimate.energy_j;
    p99_latency_s[i] = estimate.p99_latency_s;
    candidates->Set(i, candidate);
  }

  static thread_local std::vector<float> logits, mass;
  logits.assign(experts, 0);  // features that are not finite: nobody is preferred
  if (scored.finite) rooms.gate->Score(z.dense, admissible, random, absl::MakeSpan(logits));
  if (scored.finite) scored.local = LocalAskOf(request, z.dense);
  if (rooms.guards.certificate != nullptr && scored.finite) {
    scored.z = z.dense;
    scored.logits = logits;
  }
  mass.resize(experts);
  GateMass(logits, admissible, absl::MakeSpan(mass));
  const bool by_mass = IsByMass(pool.config);
  const double time_left_s = request.TimeLeft(now);
  for (size_t i = 0; i < experts; ++i) {
    const double preference = by_mass ? mass[i] : quality[i];
    candidates->SetPreference(
        i, TimelyScore(preference, candidates->latency_s()[i], p99_latency_s[i], time_left_s),
        mass[i]);
  }
  scored.load = PriceLoad(request, now);
  if (scored.load != nullptr) ApplyLoadPrices(*scored.load, ValueOf(pool), *candidates);
  scored.candidates = std::move(candidates);
  scored.max_experts = pool.config.selection().has_max_experts()
                           ? pool.config.selection().max_experts()
                           : std::max<size_t>(1, rooms.gate->k());
  if (request.parameters.max_experts) {
    scored.max_experts = std::min<size_t>(scored.max_experts, *request.parameters.max_experts);
  }
  // Features that are not finite say nothing of how many.
  if (rooms.count != nullptr && scored.finite) {
    scored.max_experts = std::min(scored.max_experts, rooms.count->Count(z.dense));
  }
  scored.max_experts = std::min({scored.max_experts, experts, Selector::kMaxExperts});
  return scored;
}

void ExpectAmounts(const RouteRequest& request, ScoredExperts& scored) {
  auto amounts = std::make_shared<std::vector<Amounts>>();
  amounts->reserve(scored.work.size());
  for (size_t i = 0; i < scored.work.size(); ++i) {
    amounts->push_back(ExpectedAmounts(request, i, static_cast<uint64_t>(request.rows),
                                       scored.work[i], scored.candidates->energy_j()[i]));
  }
  scored.amounts = std::move(amounts);
}

Amounts ChosenAmounts(const ExpertChoice& choice) {
  Amounts sum;
  if (choice.amounts != nullptr) {
    for (const SelectedExpert& chosen : choice.selection.chosen) {
      sum += (*choice.amounts)[chosen.expert];
    }
  }
  sum.energy_j = choice.selection.energy_j;
  return sum;
}

double ChosenLargest(const RouteRequest& request, const ExpertChoice& choice) {
  double sum = 0;
  for (const SelectedExpert& chosen : choice.selection.chosen) {
    sum += LargestJoules(request, chosen.expert, static_cast<uint64_t>(request.rows));
  }
  return sum;
}

void RecordForPlanning(const RouteRequest& request, const ScoredExperts& scored,
                       PoolPlanner& planner) {
  const CandidateColumns& candidates = *scored.candidates;
  // Neither the load of the moment nor the request's deadline is a plan's matter.
  const bool by_mass = IsByMass(request.pool->config);
  planner.Record(request.application_class, by_mass ? candidates.weight() : candidates.quality(),
                 candidates.energy_j(), candidates.idle_latency_s());
}

ExpertChoice ChooseExperts(const RouteRequest& request, const ScoredExperts& scored,
                           const BudgetView& budgets, absl::Time now) {
  const Pool& pool = *request.pool;
  ExpertChoice choice;
  choice.candidates = scored.candidates;
  if (scored.amounts != nullptr && budgets.others.bind()) {
    choice.amounts = scored.amounts;
    choice.others = budgets.others;
    auto priced = std::make_shared<CandidateColumns>(*scored.candidates);
    ApplyPrices(choice.others, *choice.amounts, ValueOf(pool), *priced);
    choice.before_prices = std::exchange(choice.candidates, std::move(priced));
  }
  const absl::Span<const Exclusion> standing = scored.candidates->excluded();
  choice.excluded.assign(standing.begin(), standing.end());
  choice.work = scored.work;
  choice.load = scored.load;
  SelectionLimits& limits = choice.limits;
  limits.max_experts = scored.max_experts;
  limits.value = ValueOf(pool);
  limits.price_per_joule = budgets.price_per_joule;
  limits.latency_budget_s = request.latency_budget_s;
  limits.time_left_s = request.TimeLeft(now);
  limits.energy_cap_j = request.energy_cap_j;
  limits.headroom_j = budgets.headroom_j;
  if (budgets.largest_j < SelectionLimits::kNone) {
    auto largest = std::make_shared<std::vector<double>>();
    for (size_t i = 0; i < pool.experts.size(); ++i) {
      largest->push_back(LargestJoules(request, i, static_cast<uint64_t>(request.rows)));
    }
    choice.largest = std::move(largest);
    limits.largest_j = budgets.largest_j;
    limits.largest_of = *choice.largest;
  }
  limits.beyond_headroom = pool.rooms->guards.mandatory;
  limits.min_quality = request.min_quality;
  limits.objective = request.objective;
  limits.degrade = pool.config.on_infeasible() == config::v1::Pool::DEGRADE || request.ask_late;
  limits.forced = request.forced;

  const bool cascade = pool.rooms->cascade != nullptr && request.forced.empty() &&
                       request.objective == Objective::kQuality && request.min_quality == 0;
  if (cascade) {
    if (scored.bypass_to) {
      const Exclusion stopped = StoppedBy(*scored.candidates, *scored.bypass_to, limits);
      choice.bypassed = stopped == Exclusion::kNone;
      choice.degraded = std::string(DegradedBy(stopped));
    }
    choice.first =
        static_cast<uint32_t>(choice.bypassed ? *scored.bypass_to : *pool.cascade_first);
  }
  absl::Span<const Amounts> amounts;
  if (choice.amounts != nullptr) amounts = *choice.amounts;
  choice.cascade =
      SelectWithinBudgets(ThreadSelector(), *choice.candidates, amounts, choice.others, limits,
                          choice.first, absl::MakeSpan(choice.excluded), choice.selection);
  if (choice.cascade) return choice;
  choice.bypassed = false;
  choice.certified_radius = CertifiedRadius(pool, scored, choice.selection);
  if (scored.local && choice.selection.chosen.size() == 1 &&
      choice.selection.chosen[0].expert == pool.rooms->customisation->global_expert()) {
    choice.local = scored.local;
  }
  return choice;
}

void ChooseInstead(size_t expert, ExpertChoice& choice) {
  const uint32_t only[] = {static_cast<uint32_t>(expert)};
  SelectionLimits limits = choice.limits;
  limits.forced = only;
  const absl::Span<const Exclusion> standing = choice.candidates->excluded();
  std::vector<Exclusion> excluded(standing.begin(), standing.end());
  ThreadSelector().Select(*choice.candidates, limits, absl::MakeSpan(excluded), choice.selection);
  choice.certified_radius.reset();
  choice.local.reset();
}

void DescribeRequest(const RouteRequest& request, const BudgetView& budgets,
                     v1::Decision& decision) {
  decision.set_pool(request.pool->name());
  decision.set_tenant(request.caller.tenant);
  decision.set_application_class(request.parameters.application_class);
  decision.set_rows(static_cast<uint64_t>(request.rows));
  decision.set_objective(std::string(ObjectiveName(request.objective)));
  if (std::isfinite(request.latency_budget_s)) {
    decision.set_latency_budget_ms(request.latency_budget_s * 1e3);
  }
  if (std::isfinite(request.energy_cap_j)) decision.set_energy_budget_j(request.energy_cap_j);
  auto& prices = *decision.mutable_prices();
  prices[std::string(UnitName(Resource::kJoules))] = budgets.price_per_joule;
  for (const Resource resource : kOtherResources) {
    if (!budgets.others[resource].binds()) continue;
    prices[std::string(UnitName(resource))] = budgets.others[resource].price;
  }
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
    if (choice.load != nullptr) candidate.set_load_price(choice.load->price[i]);
    if (choice.amounts != nullptr) DescribeAmounts((*choice.amounts)[i], candidate);
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
  if (choice.certified_radius) decision.set_certified_radius(*choice.certified_radius);
  if (choice.propensity) decision.set_propensity(*choice.propensity);
  decision.set_explored(choice.explored);
  decision.set_assigned_together(static_cast<uint32_t>(choice.assigned_together));
  if (!IsChosen(selection)) return;
  std::vector<std::string> names;
  for (const SelectedExpert& chosen : selection.chosen) {
    names.push_back(request.pool->expert_names[chosen.expert]);
  }
  const std::string who = absl::StrJoin(names, ", ");
  if (choice.bypassed) {
    decision.set_reason(absl::StrCat(who,
                                     " answers alone: the request's features ask for more than ",
                                     request.pool->config.cascade().first()));
  } else if (choice.cascade) {
    const CascadeQuality& cascade = *request.pool->rooms->cascade;
    const StagePolicy* const policy = cascade.PolicyOf(*request.pool->cascade_first);
    decision.set_reason(absl::StrCat(
        who, " answers first; a dearer expert is asked if ",
        policy != nullptr ? policy->Rule() : "its gain is worth its joules"));
  } else if (!request.forced.empty()) {
    decision.set_reason(absl::StrCat(who, ": the caller's choice"));
  } else if (choice.assigned_together > 0) {
    decision.set_reason(absl::StrCat(who, ": assigned together with ",
                                     choice.assigned_together - 1, " others that came with it"));
  } else if (choice.explored) {
    decision.set_reason(
        absl::StrCat(who, ": asked to learn of it, probability ", *choice.propensity));
  } else {
    decision.set_reason(absl::StrCat(who, ": the best by ", ObjectiveName(request.objective),
                                     " within budgets, at ", choice.limits.price_per_joule,
                                     " quality units a joule", DescribeOtherPrices(choice)));
  }
}

}  // namespace penstock::router
