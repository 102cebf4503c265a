#include "router_service/planning/set_cost.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace penstock::router {

absl::string_view SetSemanticsName(SetSemantics semantics) {
  switch (semantics) {
    case SetSemantics::kEnsemble:
      return "ensemble";
    case SetSemantics::kPool:
      return "pool";
  }
  return "";
}

SetCost::SetCost(std::vector<ExpertCost> experts, const SetLimits& limits)
    : experts_(std::move(experts)), limits_(limits), dearest_first_(experts_.size()) {
  std::iota(dearest_first_.begin(), dearest_first_.end(), size_t{0});
  std::stable_sort(dearest_first_.begin(), dearest_first_.end(), [this](size_t a, size_t b) {
    return experts_[a].energy_j > experts_[b].energy_j;
  });
}

double SetCost::EnergyJ(const ExpertSet& set) const {
  double energy = 0;
  if (limits_.semantics == SetSemantics::kEnsemble) {
    // Always by ascending index: rounding then never makes a subset dearer than its superset.
    set.ForEach([&](size_t expert) { energy += Weight(expert); });
    return energy;
  }
  size_t taken = 0;
  for (const size_t expert : dearest_first_) {
    if (taken == limits_.k) break;
    if (!set.Has(expert)) continue;
    energy += Weight(expert);
    ++taken;
  }
  return energy;
}

double SetCost::LatencyS(const ExpertSet& set) const {
  double slowest = 0;
  size_t members = 0;
  set.ForEach([&](size_t expert) {
    slowest = std::max(slowest, experts_[expert].latency_s);
    ++members;
  });
  if (members == 0) return 0;
  return slowest + limits_.combine_s + limits_.combine_each_s * static_cast<double>(members);
}

bool SetCost::Fits(const ExpertSet& set) const {
  return EnergyJ(set) <= limits_.energy_j && LatencyS(set) <= limits_.latency_s;
}

size_t SetCost::MostMembers(const ExpertSet& in) const {
  if (limits_.combine_each_s <= 0 || limits_.latency_s == SetLimits::kNone) return experts();
  double slowest = 0;
  in.ForEach([&](size_t expert) { slowest = std::max(slowest, experts_[expert].latency_s); });
  const double left = limits_.latency_s - slowest - limits_.combine_s;
  if (left <= 0) return 0;
  // A hair more: the bound must not exclude a set that rounding lets in.
  const double members = left / limits_.combine_each_s * (1 + 1e-12) + 1e-9;
  return members >= static_cast<double>(experts()) ? experts() : static_cast<size_t>(members);
}

}  // namespace penstock::router
