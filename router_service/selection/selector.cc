#include "router_service/selection/selector.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {

bool BeyondHeadroom(const SelectionLimits& limits, size_t expert) {
  return expert < limits.beyond_headroom.size() && limits.beyond_headroom[expert] != 0;
}

bool TooLarge(const SelectionLimits& limits, size_t expert) {
  return limits.LargestOf(expert) > limits.largest_j;
}

// The set's answers may take more than the limit.
bool TooLarge(const SelectionLimits& limits, const SelectionResult& result) {
  double most = 0;
  for (const SelectedExpert& chosen : result.chosen) most += limits.LargestOf(chosen.expert);
  return most > limits.largest_j;
}

// Without a branch: which of an expert's limits fails first is as good as random.
bool Both(bool a, bool b) { return (static_cast<int>(a) & static_cast<int>(b)) != 0; }

double Net(const CandidateColumns& c, size_t i, const SelectionLimits& limits) {
  return limits.value * c.score()[i] - limits.price_per_joule * c.energy_j()[i];
}

// Figures of the chosen set, and its weights.
void Fill(const CandidateColumns& candidates, absl::Span<const uint32_t> set,
          const SelectionLimits& limits, SelectionResult& result) {
  result.chosen.clear();
  result.objective = result.quality = result.latency_s = result.energy_j = 0;
  double weights = 0;
  for (const uint32_t expert : set) {
    const SelectionCandidate c = candidates[expert];
    const double weight = std::max(0.0, std::isfinite(c.weight) ? c.weight : 0.0);
    result.chosen.push_back({expert, weight});
    weights += weight;
    result.objective += Net(candidates, expert, limits);
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

void FillOne(const CandidateColumns& candidates, size_t expert, const SelectionLimits& limits,
             SelectionResult& result) {
  const uint32_t set[] = {static_cast<uint32_t>(expert)};
  Fill(candidates, set, limits, result);
}

// Index of the expert that `allowed` names and that has the least of `first`, of equals the least
// of `second`; ties by lowest id. first.size(): none. Loops of one comparison that is seldom true:
// a thousand experts take about a microsecond.
template <typename Allowed, typename First, typename Second>
size_t Least(size_t experts, const Allowed& allowed, const First& first, const Second& second) {
  size_t best = experts;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < experts; ++i) {
    const double value = first(i);
    if (!Both(value <= least, allowed(i))) continue;
    if (best < experts && value == least && !(second(i) < second(best))) continue;
    best = i;
    least = value;
  }
  return best;
}

// Gives up as little as possible: quality, then joules, and latency only where nobody is in time.
void GiveUpLeast(const CandidateColumns& candidates, const SelectionLimits& limits,
                 absl::Span<const Exclusion> excluded, SelectionResult& result) {
  const size_t experts = candidates.size();
  const auto worth = [&](size_t i) { return -candidates.quality()[i]; };
  const auto joules = [&](size_t i) { return candidates.energy_j()[i]; };
  const auto seconds = [&](size_t i) { return candidates.latency_s()[i]; };
  const auto admitted = [&](size_t i) { return excluded[i] == Exclusion::kNone; };
  const auto in_time = [&](size_t i) { return Both(admitted(i), seconds(i) <= limits.time_left_s); };
  const auto within = [&](size_t i) { return Both(in_time(i), joules(i) <= limits.energy_cap_j); };
  result.verdict = SelectionVerdict::kDegraded;
  size_t expert = Least(experts, within, worth, joules);
  if (expert < experts) {
    // Quality is given up; why says which limit kept it away.
    const auto reaches = [&](size_t i) {
      return Both(admitted(i), candidates.quality()[i] >= limits.min_quality);
    };
    const auto reaches_in_time = [&](size_t i) { return Both(reaches(i), in_time(i)); };
    if (Least(experts, reaches_in_time, worth, joules) < experts) {
      result.degraded = Degraded::kBudget;
    } else if (Least(experts, reaches, worth, joules) < experts) {
      result.degraded = Degraded::kDeadline;
    } else {
      result.degraded = Degraded::kQuality;
    }
  } else if ((expert = Least(experts, in_time, joules, worth)) < experts) {
    result.degraded = Degraded::kBudget;
  } else {
    expert = Least(experts, admitted, seconds, worth);
    result.degraded = Degraded::kDeadline;
  }
  FillOne(candidates, expert, limits, result);
}

SelectionVerdict InfeasibleVerdict(const CandidateColumns& candidates,
                                   const SelectionLimits& limits,
                                   absl::Span<const Exclusion> excluded) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (excluded[i] == Exclusion::kNone &&
        candidates.idle_latency_s()[i] <= limits.latency_budget_s &&
        candidates.energy_j()[i] <= limits.energy_cap_j &&
        candidates.quality()[i] >= limits.min_quality) {
      return SelectionVerdict::kInfeasibleNow;
    }
  }
  return SelectionVerdict::kInfeasible;
}

bool ByNet(const SubsetItem& a, const SubsetItem& b) {
  return a.net != b.net ? a.net > b.net : a.id < b.id;
}

}  // namespace

bool Selector::Screen(const CandidateColumns& candidates, const SelectionLimits& limits,
                      absl::Span<Exclusion> excluded, SelectionResult& result) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const size_t experts = candidates.size();
  net_.resize(experts);
  joules_.resize(experts);
  usable_.resize(experts);
  const double* score = candidates.score().data();
  const double* quality = candidates.quality().data();
  const double* latency = candidates.latency_s().data();
  const double* energy = candidates.energy_j().data();
  double* net = net_.data();
  double* joules = joules_.data();
  double* usable = usable_.data();
  const double value = limits.value;
  const double price = limits.price_per_joule;
  const double time_left_s = limits.time_left_s;
  int64_t non_finite = 0;
  for (size_t i = 0; i < experts; ++i) {
    // What is not finite, times 0, is NaN.
    usable[i] = 0 * score[i] + 0 * quality[i] + 0 * latency[i] + 0 * energy[i];
    non_finite += usable[i] == 0 ? 0 : 1;
    net[i] = value * score[i] - price * energy[i];
    joules[i] = latency[i] <= time_left_s ? energy[i] + usable[i] : kNaN;
  }
  uint8_t any = 0;
  for (const Exclusion exclusion : excluded) any |= static_cast<uint8_t>(exclusion);
  if (non_finite != 0 || any != 0) {
    for (size_t i = 0; i < experts; ++i) {
      if (excluded[i] != Exclusion::kNone) {
        usable[i] = joules[i] = kNaN;
      } else if (!(usable[i] == 0)) {
        excluded[i] = Exclusion::kNonFinite;
      }
    }
  }
  const auto anybody = [](size_t) { return true; };
  const auto worth = [&](size_t i) { return -quality[i]; };
  const size_t cheapest = Least(
      experts, anybody, [&](size_t i) { return energy[i] + usable[i]; }, worth);
  if (cheapest == experts) return false;
  const size_t fastest = Least(
      experts, anybody, [&](size_t i) { return latency[i] + usable[i]; }, worth);
  result.cheapest = {cheapest, latency[cheapest], energy[cheapest]};
  result.fastest = {fastest, latency[fastest], energy[fastest]};
  return true;
}

size_t Selector::Spared(const CandidateColumns& candidates, const SelectionLimits& limits) const {
  const size_t experts = candidates.size();
  if (limits.headroom_j == SelectionLimits::kNone && limits.largest_j == SelectionLimits::kNone) {
    return experts;
  }
  return Least(
      experts, [&](size_t i) { return joules_[i] <= limits.energy_cap_j; },
      [&](size_t i) { return joules_[i]; }, [&](size_t i) { return -candidates.quality()[i]; });
}

void Selector::MarkExcluded(const CandidateColumns& candidates, const SelectionLimits& limits,
                            absl::Span<Exclusion> excluded) {
  const bool one = limits.max_experts <= 1 || limits.objective != Objective::kQuality;
  const double min_quality = one ? limits.min_quality : -SelectionLimits::kNone;
  const size_t spared = Spared(candidates, limits);
  const double* quality = candidates.quality().data();
  const double* latency = candidates.latency_s().data();
  const double* energy = candidates.energy_j().data();
  for (size_t i = 0; i < candidates.size(); ++i) {
    const bool covered = (energy[i] <= limits.headroom_j) | (i == spared);
    Exclusion limit = covered ? Exclusion::kNone : Exclusion::kBudget;
    limit = quality[i] < min_quality ? Exclusion::kMinQuality : limit;
    limit = energy[i] <= limits.energy_cap_j ? limit : Exclusion::kEnergyBudget;
    limit = latency[i] <= limits.time_left_s ? limit : Exclusion::kLatencyBudget;
    excluded[i] = excluded[i] == Exclusion::kNone ? limit : excluded[i];
  }
  if (limits.largest_j < SelectionLimits::kNone) {
    for (size_t i = 0; i < limits.largest_of.size(); ++i) {
      const bool uncovered = i != spared && TooLarge(limits, i);
      if (uncovered && excluded[i] == Exclusion::kNone) excluded[i] = Exclusion::kLargestAnswer;
    }
  }
  for (size_t i = 0; i < limits.beyond_headroom.size(); ++i) {
    const bool by_budgets =
        excluded[i] == Exclusion::kBudget || excluded[i] == Exclusion::kLargestAnswer;
    if (BeyondHeadroom(limits, i) && by_budgets) excluded[i] = Exclusion::kNone;
  }
}

bool Selector::OfferBeyondHeadroom(const CandidateColumns& candidates,
                                   const SelectionLimits& limits, SelectionResult& result) {
  size_t best = candidates.size();
  for (size_t i = 0; i < limits.beyond_headroom.size(); ++i) {
    const double joules = candidates.energy_j()[i] + usable_[i];
    const bool fits = candidates.latency_s()[i] <= limits.time_left_s &&
                      joules <= limits.energy_cap_j &&
                      (joules > limits.headroom_j || TooLarge(limits, i)) &&
                      candidates.quality()[i] >= limits.min_quality;
    if (!BeyondHeadroom(limits, i) || !fits) continue;
    if (best == candidates.size() || net_[i] > net_[best]) best = i;
  }
  if (best == candidates.size()) return false;
  if (!result.chosen.empty() && net_[best] <= result.objective) return false;
  FillOne(candidates, best, limits, result);
  return true;
}

bool Selector::SelectOne(const CandidateColumns& candidates, const SelectionLimits& limits,
                         double joules, double min_quality, SelectionResult& result) {
  const size_t experts = candidates.size();
  const double* quality = candidates.quality().data();
  const auto fits = [&](size_t i) { return Both(joules_[i] <= joules, quality[i] >= min_quality); };
  const auto worth = [&](size_t i) { return -quality[i]; };
  size_t expert = experts;
  switch (limits.objective) {
    case Objective::kQuality:
      expert = Least(
          experts, fits, [&](size_t i) { return -net_[i]; }, [](size_t) { return 0.0; });
      break;
    case Objective::kEnergy:
      expert = Least(
          experts, fits, [&](size_t i) { return joules_[i]; }, worth);
      break;
    case Objective::kLatency:
      expert = Least(
          experts, fits, [&](size_t i) { return candidates.latency_s()[i]; }, worth);
      break;
  }
  if (expert == experts) return false;
  FillOne(candidates, expert, limits, result);
  return true;
}

void Selector::FillItems(const CandidateColumns& candidates, double joules, double min_quality,
                         double least_net) {
  const size_t experts = candidates.size();
  const bool need_quality = min_quality > 0;
  const double* quality = candidates.quality().data();
  items_.clear();
  for (size_t i = 0; i < experts; ++i) {
    if (!Both(joules_[i] <= joules, net_[i] >= least_net)) continue;
    items_.push_back({static_cast<uint32_t>(i), net_[i], joules_[i],
                      !need_quality || quality[i] >= min_quality});
  }
}

bool Selector::SelectPair(const CandidateColumns& candidates, double joules, double min_quality) {
  const size_t experts = candidates.size();
  const double* quality = candidates.quality().data();
  const auto term = [&](size_t i) { return -net_[i]; };
  const auto none = [](size_t) { return 0.0; };
  const auto fits = [&](size_t i) { return joules_[i] <= joules; };
  const auto good = [&](size_t i) { return (min_quality <= 0) | (quality[i] >= min_quality); };
  const size_t first = Least(experts, fits, term, none);
  const size_t single = Least(
      experts, [&](size_t i) { return Both(fits(i), good(i)); }, term, none);
  // Both the best alone and the best beside the largest term are sets, so no better pair has a term
  // further than this below the largest.
  bool found = single < experts;
  double best = found ? net_[single] : 0;
  if (found) picked_.assign(1, static_cast<uint32_t>(single));
  const bool first_is_good = good(first);
  const double left = joules - joules_[first];
  const size_t partner = Least(
      experts,
      [&](size_t i) {
        // The difference only rules out; the sum decides, as everywhere.
        return (joules_[i] <= left + 1e-9 * std::abs(joules)) &&
               joules_[first] + joules_[i] <= joules && i != first && (first_is_good | good(i));
      },
      term, none);
  if (partner < experts && (!found || net_[first] + net_[partner] > best)) {
    best = net_[first] + net_[partner];
    found = true;
  }
  if (!found) return false;
  const double slack = 1e-9 * (std::abs(best) + std::abs(net_[first]));
  FillItems(candidates, joules, min_quality, best - net_[first] - slack);
  std::sort(items_.begin(), items_.end(), ByNet);
  // In descending order of their first term: the first partner that fits is its best.
  found = single < experts;
  best = found ? net_[single] : 0;
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
  return found;
}

bool Selector::SelectSeveral(const CandidateColumns& candidates, const SelectionLimits& limits,
                             size_t k, double joules, double min_quality,
                             SelectionResult& result) {
  const size_t experts = candidates.size();
  const bool need_quality = min_quality > 0;
  const double* quality = candidates.quality().data();
  // The k largest terms, where they fit, are the best set: the usual case.
  picked_.clear();
  double least = -SelectionLimits::kNone;
  for (size_t i = 0; i < experts; ++i) {
    // Behind equals, so ties keep the lower id in front.
    if (!Both(joules_[i] <= joules, net_[i] > least)) continue;
    if (picked_.size() == k) picked_.pop_back();
    size_t at = picked_.size();
    while (at > 0 && net_[i] > net_[picked_[at - 1]]) --at;
    picked_.insert(picked_.begin() + static_cast<std::ptrdiff_t>(at), static_cast<uint32_t>(i));
    if (picked_.size() == k) least = net_[picked_.back()];
  }
  if (picked_.empty()) return false;
  while (picked_.size() > 1 && !(net_[picked_.back()] > 0)) picked_.pop_back();
  double energy = 0;
  bool marked = !need_quality;
  for (const uint32_t i : picked_) {
    energy += joules_[i];
    marked |= quality[i] >= min_quality;
  }
  if (energy <= joules && marked) {
    Fill(candidates, picked_, limits, result);
    return true;
  }
  if (k == 2) {
    if (!SelectPair(candidates, joules, min_quality)) return false;
    Fill(candidates, picked_, limits, result);
    return true;
  }
  FillItems(candidates, joules, min_quality, -SelectionLimits::kNone);
  std::sort(items_.begin(), items_.end(), ByNet);
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

bool Selector::SelectWithin(const CandidateColumns& candidates, const SelectionLimits& limits,
                            double joules, double min_quality, SelectionResult& result) {
  result.exact = true;
  result.gap = 0;
  result.nodes = 0;
  const size_t k = std::clamp<size_t>(limits.max_experts, 1, kMaxExperts);
  if (k == 1 || limits.objective != Objective::kQuality) {
    return SelectOne(candidates, limits, joules, min_quality, result);
  }
  return SelectSeveral(candidates, limits, k, joules, min_quality, result);
}

void Selector::SelectForced(const CandidateColumns& candidates, const SelectionLimits& limits,
                            absl::Span<Exclusion> excluded, SelectionResult& result) {
  bool late_even_idle = false;
  for (const uint32_t expert : limits.forced) {
    if (expert >= candidates.size() || excluded[expert] != Exclusion::kNone) {
      result.verdict = SelectionVerdict::kNoExpert;
      return;
    }
    late_even_idle |= candidates.idle_latency_s()[expert] > limits.latency_budget_s;
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

void Selector::SelectCovered(const CandidateColumns& candidates, const SelectionLimits& limits,
                             size_t spared, SelectionResult& result) {
  // The best that budgets cover, or else the cheapest. That the request's min_quality is missed is
  // what `degraded` tells then.
  const double joules = std::min(limits.energy_cap_j, limits.headroom_j);
  result.verdict = SelectionVerdict::kDegraded;
  result.degraded = Degraded::kBudget;
  result.chosen.clear();
  // Whom largest_j keeps away does not run.
  for (size_t i = 0; i < limits.largest_of.size(); ++i) {
    if (i != spared && TooLarge(limits, i)) joules_[i] = std::numeric_limits<double>::quiet_NaN();
  }
  const auto select = [&](double min_quality) {
    if (!SelectWithin(candidates, limits, joules, min_quality, result)) return false;
    if (result.chosen.size() == 1 || !TooLarge(limits, result)) return true;
    SelectionLimits alone = limits;
    alone.max_experts = 1;
    return SelectWithin(candidates, alone, joules, min_quality, result);
  };
  const bool covered = select(limits.min_quality);
  const bool beyond = limits.objective == Objective::kQuality &&
                      OfferBeyondHeadroom(candidates, limits, result);
  if (!covered && !beyond && !select(0)) FillOne(candidates, spared, limits, result);
}

void Selector::Select(const CandidateColumns& candidates, const SelectionLimits& limits,
                      absl::Span<Exclusion> excluded, SelectionResult& result) {
  result.Clear();
  if (!Screen(candidates, limits, excluded, result)) return;

  if (!limits.forced.empty()) {
    SelectForced(candidates, limits, excluded, result);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const bool forced =
          std::find(limits.forced.begin(), limits.forced.end(), i) != limits.forced.end();
      if (excluded[i] == Exclusion::kNone && !forced) excluded[i] = Exclusion::kNotForced;
    }
    return;
  }

  if (SelectWithin(candidates, limits, limits.energy_cap_j, limits.min_quality, result)) {
    result.verdict = SelectionVerdict::kChosen;
  } else if (limits.degrade) {
    GiveUpLeast(candidates, limits, excluded, result);
  } else {
    result.verdict = InfeasibleVerdict(candidates, limits, excluded);
  }
  if (result.energy_j > limits.headroom_j || TooLarge(limits, result)) {
    // Nobody: whoever runs breaks the request's own limits already.
    const size_t spared = Spared(candidates, limits);
    const bool may = result.chosen.size() == 1 &&
                     (result.chosen[0].expert == spared ||
                      BeyondHeadroom(limits, result.chosen[0].expert));
    if (spared < candidates.size() && !may) SelectCovered(candidates, limits, spared, result);
  }
  MarkExcluded(candidates, limits, excluded);
}

void Selector::Select(absl::Span<SelectionCandidate> candidates, const SelectionLimits& limits,
                      SelectionResult& result) {
  columns_.Resize(candidates.size());
  excluded_.resize(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    columns_.Set(i, candidates[i]);
    excluded_[i] = candidates[i].excluded;
  }
  Select(columns_, limits, absl::MakeSpan(excluded_), result);
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].excluded = excluded_[i];
}

}  // namespace penstock::router
