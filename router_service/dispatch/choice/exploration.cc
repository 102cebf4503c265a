#include "router_service/dispatch/choice/exploration.h"

#include <vector>

#include "router_service/recording/answered_expert.h"
#include "router_service/recording/decision_id.h"

namespace penstock::router {
namespace {

// Other draws of the request do not depend on whether its pool explores.
constexpr uint64_t kStream = 0x6578706C6F7265;

}  // namespace

void Explore(const RouteRequest& request, const ScoredExperts& scored, uint64_t seed,
             uint64_t sequence, ExpertChoice& choice) {
  Explorer* const explorer = request.pool->record->explorer.get();
  const SelectionResult& selection = choice.selection;
  if (explorer == nullptr || choice.limits.max_experts != 1 || !request.forced.empty() ||
      request.objective != Objective::kQuality || selection.verdict != SelectionVerdict::kChosen ||
      selection.chosen.size() != 1) {
    return;
  }
  const CandidateColumns& candidates = *choice.candidates;
  const SelectionLimits& limits = choice.limits;
  std::vector<ExplorationOption> options;
  size_t best = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const bool chosen = i == selection.chosen[0].expert;
    if (choice.excluded[i] != Exclusion::kNone && !chosen) continue;
    if (chosen) best = options.size();
    options.push_back(
        {i,
         limits.value * candidates.score()[i] - limits.price_per_joule * candidates.energy_j()[i],
         limits.value * scored.bonus[i], candidates.energy_j()[i]});
  }
  const ExplorationChoice explored = explorer->Choose(request.caller.tenant, options, best,
                                                      CounterRandom(seed ^ kStream, sequence));
  choice.propensity = explored.propensity;
  choice.explored = explored.explored;
  choice.premium_j = explored.premium_j;
  if (explored.explored) ChooseInstead(options[explored.option].expert, choice);
}

void RefundExploration(const RouteRequest& request, ExpertChoice& choice) {
  if (choice.premium_j == 0) return;
  request.pool->record->explorer->Refund(request.caller.tenant, choice.premium_j);
  choice.premium_j = 0;
}

void LearnFromReport(const PoolCatalogue& catalogue, const v1::Decision& decision) {
  const std::shared_ptr<const Pool> pool = catalogue.Find(decision.pool());
  if (pool == nullptr || pool->rooms == nullptr || pool->record->explorer == nullptr) return;
  // What other files predicted wrongly says nothing of these.
  if (decision.quality_version() != pool->rooms->versions.quality) return;
  const v1::Run* const run = AnsweredRun(decision);
  const auto id = DecisionId::Parse(decision.id());
  if (run == nullptr || !id.ok()) return;
  const std::optional<size_t> expert = pool->FindExpert(run->expert());
  if (!expert) return;
  pool->record->explorer->Report(id->sequence, *expert, decision.reported_quality());
}

}  // namespace penstock::router
