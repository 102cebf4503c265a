#include "router_service/selection/counterfactual.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "router_service/selection/first_answer.h"

namespace penstock::router {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargestPrice = 1 << 20;  // in units of the largest worth per joule

std::vector<uint32_t> Experts(const SelectionResult& selection) {
  std::vector<uint32_t> experts;
  for (const SelectedExpert& chosen : selection.chosen) {
    experts.push_back(static_cast<uint32_t>(chosen.expert));
  }
  std::sort(experts.begin(), experts.end());
  return experts;
}

double& Field(LimitName name, SelectionLimits& limits) {
  switch (name) {
    case LimitName::kEnergyCap:
      return limits.energy_cap_j;
    case LimitName::kHeadroom:
      return limits.headroom_j;
    case LimitName::kTimeLeft:
      return limits.time_left_s;
    case LimitName::kPrice:
      return limits.price_per_joule;
    case LimitName::kMinQuality:
      break;
  }
  return limits.min_quality;
}

class Search {
 public:
  Search(const CandidateColumns& candidates, const SelectionLimits& limits,
         std::optional<uint32_t> first, const SelectionResult& selection)
      : candidates_(candidates),
        limits_(limits),
        first_(first),
        excluded_(candidates.size()),
        present_(Experts(selection)) {}

  size_t selections() const { return selections_; }

  std::vector<Counterfactual> All() {
    for (const bool more : {true, false}) {
      ByJoules(LimitName::kEnergyCap, more);
      ByJoules(LimitName::kHeadroom, more);
      ByFigures(LimitName::kTimeLeft, more, candidates_.latency_s());
      ByPrice(more);
      ByFigures(LimitName::kMinQuality, more, candidates_.quality());
    }
    return std::move(found_);
  }

 private:
  static double Sum(absl::Span<const double> joules) {
    double sum = 0;
    for (const double j : joules) sum += std::isfinite(j) ? std::max(0.0, j) : 0;
    // Whatever the order in which a set is summed.
    return sum * (1 + 1e-9);
  }

  double LargestWorthPerJoule() const {
    double largest = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const double ratio =
          std::abs(limits_.value * candidates_.score()[i]) / candidates_.energy_j()[i];
      if (std::isfinite(ratio)) largest = std::max(largest, ratio);
    }
    return largest;
  }

  // Whether others are chosen with this limit; who, is in result_.
  bool Differs(LimitName name, double value) {
    ++selections_;
    SelectionLimits limits = limits_;
    Field(name, limits) = value;
    std::copy(candidates_.excluded().begin(), candidates_.excluded().end(), excluded_.begin());
    SelectFirst(selector_, candidates_, limits, first_, absl::MakeSpan(excluded_), result_);
    return Experts(result_) != present_;
  }

  // `same` and `other` are neighbours.
  void Add(LimitName name, bool more, double same, double other) {
    // A limit of joules or time lets pass what equals it, and so does a promise of quality.
    const bool closed = name == LimitName::kPrice || more != (name == LimitName::kMinQuality);
    if (!Differs(name, other)) return;
    Counterfactual& counterfactual = found_.emplace_back();
    counterfactual.limit = name;
    counterfactual.more = more;
    counterfactual.present = Field(name, limits_);
    counterfactual.bound = closed ? other : same;
    counterfactual.exclusive = !closed;
    counterfactual.selection = result_;
  }

  // Bisects between a value with the present choice and one with another, both at least 0.
  void Between(LimitName name, bool more, double same, double other) {
    // The bits of doubles of one sign are in their order.
    for (;;) {
      const uint64_t a = std::bit_cast<uint64_t>(same + 0.0);
      const uint64_t b = std::bit_cast<uint64_t>(other + 0.0);
      const uint64_t apart = std::max(a, b) - std::min(a, b);
      if (apart <= 1) break;
      const double middle = std::bit_cast<double>(std::min(a, b) + apart / 2);
      (Differs(name, middle) ? other : same) = middle;
    }
    Add(name, more, same, other);
  }

  // By distance from the present value, all being on the same side of it.
  static void Order(bool more, std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    if (!more) std::reverse(values.begin(), values.end());
  }

  // The index of the first of values, in the order of their distance from the present one, at which
  // others are chosen; their count: none.
  size_t FirstOther(LimitName name, absl::Span<const double> values) {
    size_t same = 0;  // so many are known to be the present choice's
    size_t step = 1;
    while (same < values.size()) {
      size_t other = std::min(same + step, values.size()) - 1;
      if (!Differs(name, values[other])) {
        same = other + 1;
        if (values.size() > kTried) step *= 2;
        continue;
      }
      while (same < other) {
        const size_t middle = same + (other - same) / 2;
        if (Differs(name, values[middle])) {
          other = middle;
        } else {
          same = middle + 1;
        }
      }
      return other;
    }
    return same;
  }

  // Whether one expert fits, and with it what may be given up, changes at its joules; between those
  // a choice of several holds on one interval.
  void ByJoules(LimitName name, bool more) {
    const double present = Field(name, limits_);
    std::vector<double> at;
    const auto add = [&](double value) {
      if (more ? value > present : value < present) at.push_back(value);
    };
    add(more ? Sum(candidates_.energy_j()) : 0);
    for (const double joules : candidates_.energy_j()) {
      if (!(joules > 0) || !std::isfinite(joules)) continue;
      add(std::nextafter(joules, 0));  // just not
      add(joules);
    }
    Order(more, at);
    const size_t first = FirstOther(name, at);
    if (first == at.size()) return;
    Between(name, more, first == 0 ? present : at[first - 1], at[first]);
  }

  void ByPrice(bool more) {
    const double present = limits_.price_per_joule;
    const double end = more ? kLargestPrice * LargestWorthPerJoule() : 0;
    if (!(more ? end > present : end < present) || !Differs(LimitName::kPrice, end)) return;
    Between(LimitName::kPrice, more, present, end);
  }

  // At the experts' figures: a limit works where it passes one of them.
  void ByFigures(LimitName name, bool more, absl::Span<const double> figures) {
    const double present = Field(name, limits_);
    const bool quality = name == LimitName::kMinQuality;
    // Time from a figure on admits the expert, a promise up to it: the other side of it is a
    // neighbouring double.
    const bool closed = more != quality;
    const double onward = more ? kInfinity : -kInfinity;
    std::vector<double> at;
    const auto add = [&](double figure) {
      const double other = closed ? figure : std::nextafter(figure, onward);
      if (!(more ? other > present : other < present)) return;
      if (quality && (other > 1 || other < 0)) return;
      at.push_back(other);
    };
    for (const double figure : figures) {
      if (std::isfinite(figure)) add(figure);
    }
    if (quality) add(0);  // no promise at all
    Order(more, at);
    const size_t first = FirstOther(name, at);
    if (first == at.size()) return;
    Add(name, more, std::nextafter(at[first], -onward) + 0.0, at[first]);
  }

  const CandidateColumns& candidates_;
  SelectionLimits limits_;
  const std::optional<uint32_t> first_;
  std::vector<Exclusion> excluded_;
  const std::vector<uint32_t> present_;
  Selector selector_;
  SelectionResult result_;
  size_t selections_ = 0;
  std::vector<Counterfactual> found_;
};

}  // namespace

std::vector<Counterfactual> Counterfactuals(const CandidateColumns& candidates,
                                            const SelectionLimits& limits,
                                            std::optional<uint32_t> first,
                                            const SelectionResult& selection, size_t* selections) {
  Search search(candidates, limits, first, selection);
  std::vector<Counterfactual> found = search.All();
  if (selections != nullptr) *selections = search.selections();
  return found;
}

}  // namespace penstock::router
