#include "router_service/planning/class_problem.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

namespace penstock::router {
namespace {

// Shares that add up to a whole number do so but for rounding.
constexpr double kWhole = 1e-9;

}  // namespace

ClassProblem::ClassProblem(const Coverage& coverage, const SetCost& cost)
    : coverage_(coverage),
      cost_(cost),
      per_row_(1.0 / static_cast<double>(std::max<size_t>(1, coverage.rows()))),
      top_(coverage.padded(), cost.limits().k) {
  order_.reserve(coverage.rows() * experts());
  std::vector<std::pair<double, uint32_t>> row;
  for (size_t x = 0; x < coverage.rows(); ++x) {
    row.clear();
    for (size_t i = 0; i < experts(); ++i) {
      // Experts of no value here are never before a threshold.
      if (coverage.column(i)[x] > 0)
        row.emplace_back(-coverage.column(i)[x], static_cast<uint32_t>(i));
    }
    std::sort(row.begin(), row.end());
    for (const auto& [negative, expert] : row) order_.push_back({expert, -negative});
    ends_.push_back(order_.size());
  }
}

double ClassProblem::Value(const ExpertSet& set) {
  top_.Clear();
  set.ForEach([this](size_t expert) { top_.Add(coverage_.column(expert)); });
  return top_.Sum(cost_.limits().k) * per_row_;
}

std::vector<SetRow> ClassProblem::Rows(const SetBox& box) const {
  std::vector<SetRow> rows;
  const SetLimits& limits = cost_.limits();
  if (limits.semantics == SetSemantics::kEnsemble && limits.energy_j != SetLimits::kNone) {
    SetRow& joules = rows.emplace_back(SetRow{std::vector<double>(experts()), limits.energy_j});
    for (size_t i = 0; i < experts(); ++i) joules.weight[i] = cost_.Weight(i);
  }
  const size_t most = cost_.MostMembers(box.in);
  if (most < box.allowed.size()) {
    rows.push_back({std::vector<double>(experts(), 1.0), static_cast<double>(most)});
  }
  return rows;
}

SetBound ClassProblem::BoundAt(const std::vector<double>& share) {
  const double k = static_cast<double>(cost_.limits().k);
  SetBound bound{0, std::vector<double>(experts(), 0.0)};
  size_t begin = 0;
  for (const size_t end : ends_) {
    // t_x: where the shares of the experts above it reach k.
    double above = 0;
    size_t stop = begin;
    while (stop < end) {
      above += share[order_[stop].expert];
      if (above > k - kWhole) break;
      ++stop;
    }
    const double threshold = stop < end ? order_[stop].value : 0;
    for (size_t at = begin; at < stop; ++at) {
      bound.slope[order_[at].expert] += order_[at].value - threshold;
    }
    bound.constant += threshold;
    begin = end;
  }
  bound.constant *= k * per_row_;
  for (double& slope : bound.slope) slope *= per_row_;
  return bound;
}

ExpertSet ClassProblem::AddGreedily(const SetBox& box, const ExpertSet& start, Greedy by) {
  const size_t k = cost_.limits().k;
  ExpertSet set = start;
  ExpertSet left = box.allowed - set;
  Value(set);
  while (true) {
    double best_score = 0, best_gain = 0;
    size_t best = experts();
    left.ForEach([&](size_t expert) {
      if (!Feasible(set.With(expert))) {
        left.Remove(expert);  // nor will it ever fit
        return;
      }
      const double gain =
          SumExcess(coverage_.column(expert), top_.level(k - 1), coverage_.padded());
      const double weight = cost_.Weight(expert);
      const double score = by == Greedy::kGain || weight <= 0 ? gain : gain / weight;
      if (score > best_score || (score == best_score && gain > best_gain)) {
        best_score = score;
        best_gain = gain;
        best = expert;
      }
    });
    if (best == experts()) return set;
    set.Add(best);
    left.Remove(best);
    top_.Add(coverage_.column(best));
  }
}

ExpertSet ClassProblem::Exchange(const SetBox& box, ExpertSet set) {
  const size_t k = cost_.limits().k;
  double value = Value(set);
  while (true) {
    double best_value = value * (1 + 1e-12);
    size_t best_out = experts(), best_in = experts();
    (set - box.in).ForEach([&](size_t out) {
      const ExpertSet rest = set.Without(out);
      const double base = Value(rest);
      (box.allowed - set).ForEach([&](size_t in) {
        if (!Feasible(rest.With(in))) return;
        const double exchanged =
            base +
            SumExcess(coverage_.column(in), top_.level(k - 1), coverage_.padded()) * per_row_;
        if (exchanged <= best_value) return;
        best_value = exchanged;
        best_out = out;
        best_in = in;
      });
    });
    if (best_out == experts()) return set;
    set = AddGreedily(box, set.Without(best_out).With(best_in), Greedy::kGain);
    value = Value(set);
  }
}

ExpertSet ClassProblem::Improve(const SetBox& box, const ExpertSet& start) {
  ExpertSet best = AddGreedily(box, start, Greedy::kGain);
  const ExpertSet by_joule = AddGreedily(box, start, Greedy::kGainPerJoule);
  if (Value(by_joule) > Value(best)) best = by_joule;
  return Exchange(box, best);
}

}  // namespace penstock::router
