#include "router_service/selection/other_prices.h"

#include <algorithm>
#include <limits>

#include "router_service/selection/first_answer.h"

namespace penstock::router {
namespace {

Amounts SumOf(const SelectionResult& result, absl::Span<const Amounts> amounts) {
  Amounts sum;
  for (const SelectedExpert& chosen : result.chosen) sum += amounts[chosen.expert];
  return sum;
}

bool MayRunBeyond(const SelectionResult& result, const SelectionLimits& limits) {
  if (result.chosen.size() != 1) return false;
  const size_t expert = result.chosen[0].expert;
  return expert < limits.beyond_headroom.size() && limits.beyond_headroom[expert] != 0;
}

bool SameExperts(const SelectionResult& a, const SelectionResult& b) {
  return a.chosen.size() == b.chosen.size() &&
         std::all_of(a.chosen.begin(), a.chosen.end(), [&](const SelectedExpert& chosen) {
           return std::any_of(b.chosen.begin(), b.chosen.end(), [&](const SelectedExpert& other) {
             return other.expert == chosen.expert;
           });
         });
}

// Excludes whom a resource does not cover; where it covers nobody who keeps to the request's own
// limits, all but the one of them that takes least of it, ties by lowest id.
void ExcludeUncovered(absl::Span<const Amounts> amounts, Resource resource, double headroom,
                      const SelectionLimits& limits, CandidateColumns& candidates) {
  const auto fits = [&](size_t i) {
    return candidates.excluded()[i] == Exclusion::kNone &&
           candidates.latency_s()[i] <= limits.time_left_s &&
           candidates.energy_j()[i] <= limits.energy_cap_j;
  };
  size_t least = candidates.size();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!fits(i)) continue;
    if (least == candidates.size() || amounts[i][resource] < amounts[least][resource]) least = i;
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    const bool beyond = i < limits.beyond_headroom.size() && limits.beyond_headroom[i] != 0;
    if (i == least || beyond || amounts[i][resource] <= headroom) continue;
    SelectionCandidate candidate = candidates[i];
    if (candidate.excluded != Exclusion::kNone) continue;
    candidate.excluded = Exclusion::kBudget;
    candidates.Set(i, candidate);
  }
}

}  // namespace

void ApplyPrices(const OtherTerms& terms, absl::Span<const Amounts> amounts, double value,
                 CandidateColumns& candidates) {
  for (size_t i = 0; i < amounts.size(); ++i) {
    const double price = terms.PriceOf(amounts[i]);
    if (!(price > 0)) continue;
    candidates.SetPreference(i, candidates.score()[i] - price / value, candidates.weight()[i]);
  }
}

bool SelectWithinBudgets(Selector& selector, const CandidateColumns& candidates,
                         absl::Span<const Amounts> amounts, const OtherTerms& terms,
                         const SelectionLimits& limits, std::optional<uint32_t> first,
                         absl::Span<Exclusion> excluded, SelectionResult& result) {
  const bool cascade = SelectFirst(selector, candidates, limits, first, excluded, result);
  if (cascade || amounts.empty() || !limits.forced.empty() || result.chosen.empty() ||
      terms.Cover(SumOf(result, amounts)) || MayRunBeyond(result, limits)) {
    return cascade;
  }
  CandidateColumns covered = candidates;
  for (const Resource resource : kOtherResources) {
    const double headroom = terms[resource].headroom;
    if (headroom < std::numeric_limits<double>::infinity()) {
      ExcludeUncovered(amounts, resource, headroom, limits, covered);
    }
  }
  // What budgets do not cover, the request is not refused for: it gives up its promise of quality
  // before it gives up its answer.
  SelectionLimits within = limits;
  SelectionResult second;
  const auto select = [&] {
    std::copy(covered.excluded().begin(), covered.excluded().end(), excluded.begin());
    selector.Select(covered, within, excluded, second);
    return !second.chosen.empty();
  };
  bool found = select();
  if (found && second.chosen.size() > 1 && !terms.Cover(SumOf(second, amounts))) {
    within.max_experts = 1;
    found = select();
  }
  if (!found) {
    within.min_quality = 0;
    within.max_experts = 1;
    found = select();
  }
  if (!found || SameExperts(result, second)) return false;
  second.verdict = SelectionVerdict::kDegraded;
  second.degraded = Degraded::kBudget;
  result = std::move(second);
  return false;
}

}  // namespace penstock::router
