#include "router_service/dispatch/choice/priced_options.h"

#include <algorithm>

namespace penstock::router {
namespace {

bool Better(const PricedOption& a, const PricedOption& b) {
  return a.quality != b.quality ? a.quality > b.quality : a.energy_j < b.energy_j;
}

bool Cheaper(const PricedOption& a, const PricedOption& b) {
  return a.energy_j != b.energy_j ? a.energy_j < b.energy_j : a.quality > b.quality;
}

// How far `at` lies above the line from a to b, in units of that line's length.
double Above(const PricedOption& at, const PricedOption& a, const PricedOption& b) {
  return (at.quality - a.quality) * (b.energy_j - a.energy_j) -
         (at.energy_j - a.energy_j) * (b.quality - a.quality);
}

// Appends the hull strictly between its points a and b. Quickhull, Barber, Dobkin and Huhdanpaa 1996,
// in two dimensions: what lies under a chord is looked at once more and never again.
void AppendHull(absl::Span<PricedOption> options, const PricedOption& a, const PricedOption& b,
                std::vector<PricedOption>& hull) {
  const auto end = std::partition(options.begin(), options.end(), [&](const PricedOption& option) {
    return Above(option, a, b) > 0;
  });
  if (end == options.begin()) return;
  const PricedOption peak =
      *std::max_element(options.begin(), end, [&](const PricedOption& x, const PricedOption& y) {
        const double first = Above(x, a, b);
        const double second = Above(y, a, b);
        return first != second ? first < second : Cheaper(y, x);
      });
  const auto left = std::partition(options.begin(), end, [&](const PricedOption& option) {
    return option.energy_j < peak.energy_j;
  });
  const auto cheaper = static_cast<size_t>(left - options.begin());
  AppendHull(options.subspan(0, cheaper), a, peak, hull);
  hull.push_back(peak);
  AppendHull(options.subspan(cheaper, static_cast<size_t>(end - left)), peak, b, hull);
}

std::vector<PricedOption> Hull(absl::Span<PricedOption> options) {
  const PricedOption cheapest = *std::min_element(options.begin(), options.end(), Cheaper);
  const PricedOption best = *std::min_element(options.begin(), options.end(), Better);
  std::vector<PricedOption> hull = {cheapest};
  if (!(best.quality > cheapest.quality)) return hull;
  AppendHull(options, cheapest, best, hull);
  hull.push_back(best);
  return hull;
}

std::vector<PricedOption> Best(absl::Span<PricedOption> options) {
  const PricedOption cheapest = *std::min_element(options.begin(), options.end(), Cheaper);
  const auto middle = options.begin() + DecisionTable::kMaxOptions;
  std::nth_element(options.begin(), middle, options.end(), Better);
  std::vector<PricedOption> best(options.begin(), middle);
  if (std::none_of(best.begin(), best.end(), [&](const PricedOption& option) {
        return option.energy_j == cheapest.energy_j;
      })) {
    best.push_back(cheapest);
  }
  return best;
}

}  // namespace

std::vector<PricedOption> PricedOptions(const ExpertChoice& choice) {
  // A price moves only the search for quality.
  if (choice.limits.objective != Objective::kQuality || !choice.limits.forced.empty()) {
    const Amounts chosen = ChosenAmounts(choice);
    return {{0, chosen.energy_j, chosen.accelerator_seconds, chosen.dollars}};
  }
  // Worth before the prices that it is to find.
  const CandidateColumns& candidates = choice.scored();
  // A decision stays on its thread.
  thread_local std::vector<PricedOption> options;
  options.clear();
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Exclusion excluded = choice.excluded[i];
    if (excluded != Exclusion::kNone && excluded != Exclusion::kBudget) continue;
    options.push_back({choice.limits.value * candidates.score()[i], candidates.energy_j()[i]});
    if (choice.amounts == nullptr) continue;
    options.back().accelerator_seconds = (*choice.amounts)[i].accelerator_seconds;
    options.back().dollars = (*choice.amounts)[i].dollars;
  }
  if (options.empty() && !choice.selection.chosen.empty()) {
    const Amounts chosen = ChosenAmounts(choice);
    options.push_back({0, chosen.energy_j, chosen.accelerator_seconds, chosen.dollars});
  }
  // Each resource's budget has a hull of its own.
  if (options.size() <= DecisionTable::kMaxOptions || choice.amounts != nullptr) return options;
  return choice.limits.max_experts <= 1 ? Hull(absl::MakeSpan(options))
                                        : Best(absl::MakeSpan(options));
}

}  // namespace penstock::router
