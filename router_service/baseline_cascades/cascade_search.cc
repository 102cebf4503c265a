#include "router_service/baseline_cascades/cascade_search.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

namespace penstock::router {
namespace {

// Keeps the best plan of each budget. Plans arrive in order of preference among equals.
class BestPlans {
 public:
  BestPlans(absl::Span<const double> budgets, double rows) : rows_(rows), plans_(budgets.size()) {
    for (size_t i = 0; i < budgets.size(); ++i) order_.emplace_back(budgets[i], i);
    std::sort(order_.begin(), order_.end());
  }

  void Offer(double cost_sum, double quality_sum, absl::Span<const size_t> chain,
             absl::Span<const float> accept_from) {
    const double cost = cost_sum / rows_, quality = quality_sum / rows_;
    auto first = std::lower_bound(order_.begin(), order_.end(), std::make_pair(cost, size_t{0}));
    // Dearer budgets that have a better plan keep it; those that do not take this one.
    for (; first != order_.end(); ++first) {
      CascadePlan& plan = plans_[first->second];
      if (!plan.chain.empty() && plan.quality >= quality) continue;
      plan.chain.assign(chain.begin(), chain.end());
      plan.accept_from.assign(accept_from.begin(), accept_from.end());
      plan.cost = cost;
      plan.quality = quality;
    }
  }

  std::vector<CascadePlan> Take(const CascadePlan& otherwise) {
    for (CascadePlan& plan : plans_) {
      if (plan.chain.empty()) plan = otherwise;
    }
    return std::move(plans_);
  }

 private:
  const double rows_;
  std::vector<std::pair<double, size_t>> order_;
  std::vector<CascadePlan> plans_;
};

class Search {
 public:
  Search(const ScoredOutcomes& o, absl::Span<const double> budgets,
         const CascadeSearchOptions& options)
      : o_(o), options_(options), best_(budgets, static_cast<double>(o.rows)), order_(o.experts) {
    for (size_t e = 0; e < o.experts; ++e) {
      order_[e].resize(o.rows);
      std::iota(order_[e].begin(), order_[e].end(), size_t{0});
      std::stable_sort(order_[e].begin(), order_[e].end(), [&](size_t a, size_t b) {
        return o.score[o.At(e, a)] > o.score[o.At(e, b)];
      });
    }
  }

  std::vector<CascadePlan> Run() {
    CascadePlan cheapest;
    for (size_t e = 0; e < o_.experts; ++e) {
      const double cost = Sum(o_.cost, e, order_[e]), quality = Sum(o_.quality, e, order_[e]);
      best_.Offer(cost, quality, {e}, {});
      const double rows = static_cast<double>(o_.rows);
      if (cheapest.chain.empty() || cost / rows < cheapest.cost) {
        cheapest = {{e}, {}, cost / rows, quality / rows};
      }
    }
    for (size_t a = 0; a < o_.experts && options_.depth > 1; ++a) {
      for (size_t share = 1; share < options_.grid; ++share) FirstStage(a, share);
    }
    return best_.Take(cheapest);
  }

 private:
  double Sum(absl::Span<const float> values, size_t expert, const std::vector<size_t>& rows) const {
    double sum = 0;
    for (const size_t row : rows) sum += values[o_.At(expert, row)];
    return sum;
  }

  // How many of `rows`, by falling score, are accepted at this share: rows that score alike are
  // accepted alike.
  size_t Accepted(size_t expert, const std::vector<size_t>& rows, size_t share) const {
    size_t count = (rows.size() * share + options_.grid - 1) / options_.grid;
    while (count > 0 && count < rows.size() &&
           o_.score[o_.At(expert, rows[count])] == o_.score[o_.At(expert, rows[count - 1])]) {
      ++count;
    }
    return count;
  }

  void FirstStage(size_t a, size_t share) {
    const std::vector<size_t>& rows = order_[a];
    const size_t accepted = Accepted(a, rows, share);
    if (accepted == rows.size()) return;  // nobody would be left to ask
    const float threshold = o_.score[o_.At(a, rows[accepted - 1])];
    std::vector<uint8_t> left(o_.rows, 1);
    double quality = 0;
    for (size_t i = 0; i < accepted; ++i) {
      left[rows[i]] = 0;
      quality += o_.quality[o_.At(a, rows[i])];
    }
    const double cost = Sum(o_.cost, a, rows);
    std::vector<std::vector<size_t>> reach(o_.experts);
    for (size_t b = 0; b < o_.experts; ++b) {
      if (b == a) continue;
      for (const size_t row : order_[b]) {
        if (left[row]) reach[b].push_back(row);
      }
      best_.Offer(cost + Sum(o_.cost, b, reach[b]), quality + Sum(o_.quality, b, reach[b]), {a, b},
                  {threshold});
    }
    if (options_.depth < 3) return;
    for (size_t b = 0; b < o_.experts; ++b) {
      if (b != a) SecondStage(a, threshold, b, reach[b], share, cost, quality);
    }
  }

  void SecondStage(size_t a, float threshold, size_t b, const std::vector<size_t>& rows,
                   size_t least_share, double cost, double quality) {
    const double cost_b = cost + Sum(o_.cost, b, rows);
    std::vector<double> kept(rows.size() + 1), tail_quality(rows.size() + 1),
        tail_cost(rows.size() + 1);
    for (size_t i = 0; i < rows.size(); ++i) {
      kept[i + 1] = kept[i] + o_.quality[o_.At(b, rows[i])];
    }
    for (size_t c = 0; c < o_.experts; ++c) {
      if (c == a || c == b) continue;
      for (size_t i = rows.size(); i-- > 0;) {
        tail_quality[i] = tail_quality[i + 1] + o_.quality[o_.At(c, rows[i])];
        tail_cost[i] = tail_cost[i + 1] + o_.cost[o_.At(c, rows[i])];
      }
      for (size_t share = least_share; share < options_.grid; ++share) {
        const size_t accepted = Accepted(b, rows, share);
        if (accepted == rows.size()) break;
        best_.Offer(cost_b + tail_cost[accepted],
                    quality + kept[accepted] + tail_quality[accepted], {a, b, c},
                    {threshold, o_.score[o_.At(b, rows[accepted - 1])]});
      }
    }
  }

  const ScoredOutcomes& o_;
  const CascadeSearchOptions options_;
  BestPlans best_;
  std::vector<std::vector<size_t>> order_;  // rows of each expert by falling score
};

}  // namespace

CascadeOutcome RunCascade(const CascadePlan& plan, const ScoredOutcomes& outcomes, size_t row) {
  CascadeOutcome outcome;
  for (size_t stage = 0; stage < plan.chain.size(); ++stage) {
    const size_t at = outcomes.At(plan.chain[stage], row);
    outcome.cost += outcomes.cost[at];
    outcome.quality = outcomes.quality[at];
    outcome.stages = stage + 1;
    if (stage < plan.accept_from.size() && outcomes.score[at] >= plan.accept_from[stage]) break;
  }
  return outcome;
}

std::vector<CascadePlan> SearchCascades(const ScoredOutcomes& outcomes,
                                        absl::Span<const double> budgets,
                                        const CascadeSearchOptions& options) {
  return Search(outcomes, budgets, options).Run();
}

}  // namespace penstock::router
