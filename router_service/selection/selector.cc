#include "router_service/selection/selector.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

bool Admitted(const SelectionCandidate& candidate) {
  return candidate.excluded == Exclusion::kNone;
}

bool Fits(const SelectionCandidate& candidate, const SelectionLimits& limits, double joules) {
  return Admitted(candidate) && candidate.latency_s <= limits.time_left_s &&
         candidate.energy_j <= joules;
}

double Net(const SelectionCandidate& candidate, const SelectionLimits& limits) {
  return limits.value * candidate.score - limits.price_per_joule * candidate.energy_j;
}

bool Finite(const SelectionCandidate& c) {
  return std::isfinite(c.score) && std::isfinite(c.quality) && std::isfinite(c.latency_s) &&
         std::isfinite(c.energy_j);
}

// Figures of the chosen set, and its weights.
void Fill(absl::Span<const SelectionCandidate> candidates, absl::Span<const uint32_t> set,
          const SelectionLimits& limits, SelectionResult& result) {
  result.chosen.clear();
  result.objective = result.quality = result.latency_s = result.energy_j = 0;
  double weights = 0;
  for (const uint32_t expert : set) {
    const SelectionCandidate& c = candidates[expert];
    const double weight = std::max(0.0, std::isfinite(c.weight) ? c.weight : 0.0);
    result.chosen.push_back({expert, weight});
    weights += weight;
    result.objective += Net(c, limits);
    result.quality = std::max(result.quality, c.quality);
    result.latency_s = std::max(result.latency_s, c.latency_s);
    result.energy_j += c.energy_j;
  }
  for (SelectedExpert& chosen : result.chosen) {
    chosen.weight =
        weights > 0 ? chosen.weight / weights : 1 / static_cast<double>(result.chosen.size());
  }
  std::sort(result.chosen.begin(), result.chosen.end(),
            [](const SelectedExpert& a, const SelectedExpert& b) {
              return a.weight != b.weight ? a.weight > b.weight : a.expert < b.expert;
            });
}

void FillOne(absl::Span<const SelectionCandidate> candidates, size_t expert,
             const SelectionLimits& limits, SelectionResult& result) {
  const uint32_t set[] = {static_cast<uint32_t>(expert)};
  Fill(candidates, set, limits, result);
}

// Index of the admitted candidate that comes first by `before`, of those that `allowed` names; ties
// by lowest id. candidates.size(): none.
template <typename Allowed, typename Before>
size_t First(absl::Span<const SelectionCandidate> candidates, const Allowed& allowed,
             const Before& before) {
  size_t first = candidates.size();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!Admitted(candidates[i]) || !allowed(candidates[i])) continue;
    if (first == candidates.size() || before(candidates[i], candidates[first])) first = i;
  }
  return first;
}

bool FewerJoules(const SelectionCandidate& a, const SelectionCandidate& b) {
  return a.energy_j != b.energy_j ? a.energy_j < b.energy_j : a.quality > b.quality;
}

bool Faster(const SelectionCandidate& a, const SelectionCandidate& b) {
  return a.latency_s != b.latency_s ? a.latency_s < b.latency_s : a.quality > b.quality;
}

bool Better(const SelectionCandidate& a, const SelectionCandidate& b) {
  return a.quality != b.quality ? a.quality > b.quality : a.energy_j < b.energy_j;
}

// Gives up as little as possible: quality, then joules, and latency only where nobody is in time.
void GiveUpLeast(absl::Span<const SelectionCandidate> candidates, const SelectionLimits& limits,
                 SelectionResult& result) {
  const auto in_time = [&](const SelectionCandidate& c) {
    return c.latency_s <= limits.time_left_s;
  };
  const auto within = [&](const SelectionCandidate& c) {
    return in_time(c) && c.energy_j <= limits.energy_cap_j;
  };
  const auto any = [](const SelectionCandidate&) { return true; };
  result.verdict = SelectionVerdict::kDegraded;
  size_t expert = First(candidates, within, Better);
  if (expert < candidates.size()) {
    // Quality is given up; why says which limit kept it away.
    const auto reaches = [&](const SelectionCandidate& c) {
      return c.quality >= limits.min_quality;
    };
    const auto reaches_in_time = [&](const SelectionCandidate& c) {
      return reaches(c) && in_time(c);
    };
    if (First(candidates, reaches_in_time, Better) < candidates.size()) {
      result.degraded = Degraded::kBudget;
    } else if (First(candidates, reaches, Better) < candidates.size()) {
      result.degraded = Degraded::kDeadline;
    } else {
      result.degraded = Degraded::kQuality;
    }
  } else if ((expert = First(candidates, in_time, FewerJoules)) < candidates.size()) {
    result.degraded = Degraded::kBudget;
  } else {
    expert = First(candidates, any, Faster);
    result.degraded = Degraded::kDeadline;
  }
  FillOne(candidates, expert, limits, result);
}

// The cheapest of those that fit may run whatever the budgets cover.
size_t Spared(absl::Span<const SelectionCandidate> candidates, const SelectionLimits& limits) {
  if (limits.headroom_j == SelectionLimits::kNone) return candidates.size();
  return First(
      candidates, [&](const SelectionCandidate& c) { return Fits(c, limits, limits.energy_cap_j); },
      FewerJoules);
}

void MarkExcluded(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
                  bool quality_binds_each) {
  const size_t spared = Spared(candidates, limits);
  for (size_t i = 0; i < candidates.size(); ++i) {
    SelectionCandidate& c = candidates[i];
    if (!Admitted(c)) continue;
    if (!(c.latency_s <= limits.time_left_s)) {
      c.excluded = Exclusion::kLatencyBudget;
    } else if (!(c.energy_j <= limits.energy_cap_j)) {
      c.excluded = Exclusion::kEnergyBudget;
    } else if (quality_binds_each && c.quality < limits.min_quality) {
      c.excluded = Exclusion::kMinQuality;
    } else if (!(c.energy_j <= limits.headroom_j) && i != spared) {
      c.excluded = Exclusion::kBudget;
    }
  }
}

SelectionVerdict InfeasibleVerdict(absl::Span<const SelectionCandidate> candidates,
                                   const SelectionLimits& limits) {
  const auto on_idle_platform = [&](const SelectionCandidate& c) {
    return c.idle_latency_s <= limits.latency_budget_s && c.energy_j <= limits.energy_cap_j &&
           c.quality >= limits.min_quality;
  };
  return First(candidates, on_idle_platform, Better) < candidates.size()
             ? SelectionVerdict::kInfeasibleNow
             : SelectionVerdict::kInfeasible;
}

}  // namespace

bool Selector::SelectOne(absl::Span<const SelectionCandidate> candidates,
                         const SelectionLimits& limits, double joules, double min_quality,
                         SelectionResult& result) {
  const auto fits = [&](const SelectionCandidate& c) {
    return Fits(c, limits, joules) && c.quality >= min_quality;
  };
  size_t expert = candidates.size();
  switch (limits.objective) {
    case Objective::kQuality:
      expert =
          First(candidates, fits, [&](const SelectionCandidate& a, const SelectionCandidate& b) {
            return Net(a, limits) > Net(b, limits);
          });
      break;
    case Objective::kEnergy:
      expert = First(candidates, fits, FewerJoules);
      break;
    case Objective::kLatency:
      expert = First(candidates, fits, Faster);
      break;
  }
  if (expert == candidates.size()) return false;
  FillOne(candidates, expert, limits, result);
  return true;
}

bool Selector::SelectSeveral(absl::Span<const SelectionCandidate> candidates,
                             const SelectionLimits& limits, size_t k, double joules,
                             double min_quality, SelectionResult& result) {
  items_.clear();
  const bool need_quality = min_quality > 0;
  for (uint32_t i = 0; i < candidates.size(); ++i) {
    if (!Fits(candidates[i], limits, joules)) continue;
    items_.push_back({i, Net(candidates[i], limits), candidates[i].energy_j,
                      !need_quality || candidates[i].quality >= min_quality});
  }
  if (items_.empty()) return false;
  const auto by_net = [](const SubsetItem& a, const SubsetItem& b) {
    return a.net != b.net ? a.net > b.net : a.id < b.id;
  };
  // The k largest terms, where they fit, are the best set: the usual case.
  const size_t top = std::min(k, items_.size());
  std::partial_sort(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(top), items_.end(),
                    by_net);
  picked_.clear();
  double energy = 0;
  bool marked = false;
  for (size_t i = 0; i < top && (i == 0 || items_[i].net > 0); ++i) {
    picked_.push_back(items_[i].id);
    energy += items_[i].energy_j;
    marked |= items_[i].marked;
  }
  if (energy <= joules && marked) {
    Fill(candidates, picked_, limits, result);
    return true;
  }
  std::sort(items_.begin(), items_.end(), by_net);
  if (k > 2) {
    // An item that adds nothing is of use only where its quality is asked for.
    const auto first = std::find_if(items_.begin(), items_.end(),
                                    [](const SubsetItem& item) { return item.marked; });
    if (first == items_.end()) return false;
    const SubsetItem single = *first;
    const auto useless = [&](const SubsetItem& item) {
      return item.net <= 0 && item.id != single.id && !(need_quality && item.marked);
    };
    items_.erase(std::remove_if(items_.begin(), items_.end(), useless), items_.end());
    const auto solved = branch_and_bound_.Solve(absl::MakeSpan(items_), k, joules, need_quality,
                                                kNodeLimit, picked_);
    result.nodes = solved.nodes;
    result.gap = solved.gap;
    result.exact = solved.gap == 0;
    if (!solved.found) picked_.assign(1, single.id);
    Fill(candidates, picked_, limits, result);
    return true;
  }
  // Pairs, in descending order of their first term: the first partner that fits is its best.
  bool found = false;
  double best = 0;
  for (const SubsetItem& item : items_) {
    if (!item.marked) continue;
    picked_.assign(1, item.id);
    best = item.net;
    found = true;
    break;
  }
  for (size_t i = 0; i + 1 < items_.size(); ++i) {
    const SubsetItem& a = items_[i];
    if (found && a.net + items_[i + 1].net <= best) break;
    for (size_t j = i + 1; j < items_.size(); ++j) {
      const SubsetItem& b = items_[j];
      if (found && a.net + b.net <= best) break;
      if (a.energy_j + b.energy_j > joules || !(a.marked || b.marked)) continue;
      picked_.assign({a.id, b.id});
      best = a.net + b.net;
      found = true;
      break;
    }
  }
  if (!found) return false;
  Fill(candidates, picked_, limits, result);
  return true;
}

bool Selector::SelectWithin(absl::Span<const SelectionCandidate> candidates,
                            const SelectionLimits& limits, double joules, double min_quality,
                            SelectionResult& result) {
  result.exact = true;
  result.gap = 0;
  result.nodes = 0;
  const size_t k = std::clamp<size_t>(limits.max_experts, 1, kMaxExperts);
  if (k == 1 || limits.objective != Objective::kQuality) {
    return SelectOne(candidates, limits, joules, min_quality, result);
  }
  return SelectSeveral(candidates, limits, k, joules, min_quality, result);
}

void Selector::SelectForced(absl::Span<SelectionCandidate> candidates,
                            const SelectionLimits& limits, SelectionResult& result) {
  bool late_even_idle = false;
  for (const uint32_t expert : limits.forced) {
    if (expert >= candidates.size() || !Admitted(candidates[expert])) {
      result.verdict = SelectionVerdict::kNoExpert;
      return;
    }
    late_even_idle |= candidates[expert].idle_latency_s > limits.latency_budget_s;
  }
  Fill(candidates, limits.forced, limits, result);
  const bool in_time = result.latency_s <= limits.time_left_s;
  const bool within_cap = result.energy_j <= limits.energy_cap_j;
  const bool good = result.quality >= limits.min_quality;
  if (in_time && within_cap && good) {
    result.verdict = SelectionVerdict::kChosen;
  } else if (limits.degrade) {
    result.verdict = SelectionVerdict::kDegraded;
    result.degraded = !in_time      ? Degraded::kDeadline
                      : !within_cap ? Degraded::kBudget
                                    : Degraded::kQuality;
  } else {
    result.chosen.clear();
    result.verdict = late_even_idle || !within_cap || !good ? SelectionVerdict::kInfeasible
                                                            : SelectionVerdict::kInfeasibleNow;
  }
}

void Selector::Select(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
                      SelectionResult& result) {
  result.Clear();
  size_t cheapest = candidates.size();
  size_t fastest = candidates.size();
  for (size_t i = 0; i < candidates.size(); ++i) {
    SelectionCandidate& candidate = candidates[i];
    if (!Admitted(candidate)) continue;
    if (!Finite(candidate)) {
      candidate.excluded = Exclusion::kNonFinite;
      continue;
    }
    if (cheapest == candidates.size() || FewerJoules(candidate, candidates[cheapest])) cheapest = i;
    if (fastest == candidates.size() || Faster(candidate, candidates[fastest])) fastest = i;
  }
  if (cheapest == candidates.size()) return;
  result.cheapest = {cheapest, candidates[cheapest].latency_s, candidates[cheapest].energy_j};
  result.fastest = {fastest, candidates[fastest].latency_s, candidates[fastest].energy_j};

  if (!limits.forced.empty()) {
    SelectForced(candidates, limits, result);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const bool forced =
          std::find(limits.forced.begin(), limits.forced.end(), i) != limits.forced.end();
      if (Admitted(candidates[i]) && !forced) candidates[i].excluded = Exclusion::kNotForced;
    }
    return;
  }

  if (SelectWithin(candidates, limits, limits.energy_cap_j, limits.min_quality, result)) {
    result.verdict = SelectionVerdict::kChosen;
    if (result.energy_j > limits.headroom_j) {
      // Budgets do not cover it: the best that they cover, or else the cheapest. That the request's
      // min_quality is missed is what `degraded` tells then.
      const double joules = std::min(limits.energy_cap_j, limits.headroom_j);
      const size_t spared = Spared(candidates, limits);
      const bool is_spared = result.chosen.size() == 1 && result.chosen[0].expert == spared;
      if (!is_spared) {
        result.verdict = SelectionVerdict::kDegraded;
        result.degraded = Degraded::kBudget;
        if (!SelectWithin(candidates, limits, joules, limits.min_quality, result) &&
            !SelectWithin(candidates, limits, joules, 0, result)) {
          FillOne(candidates, spared, limits, result);
        }
      }
    }
  } else if (limits.degrade) {
    GiveUpLeast(candidates, limits, result);
  } else {
    result.verdict = InfeasibleVerdict(candidates, limits);
  }
  const bool one = limits.max_experts <= 1 || limits.objective != Objective::kQuality;
  MarkExcluded(candidates, limits, one);
}

}  // namespace penstock::router
