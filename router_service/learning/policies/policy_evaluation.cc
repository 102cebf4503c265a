#include "router_service/learning/policies/policy_evaluation.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace penstock::router {
namespace {

struct Mean {
  double sum = 0, squares = 0, count = 0;
  void Add(double value) {
    sum += value;
    squares += value * value;
    count += 1;
  }
  double Value() const { return count > 0 ? sum / count : 0; }
  double StandardError() const {
    if (count < 2) return 0;
    const double variance = (squares - sum * sum / count) / (count - 1);
    return std::sqrt(std::max(0.0, variance) / count);
  }
};

// Mean quality over the experts whose quality is known; NaN where none is.
double RowMean(const OutcomeTable& table, size_t row) {
  Mean mean;
  for (size_t e = 0; e < table.experts.size(); ++e) {
    const float q = table.quality[table.At(e, row)];
    if (!std::isnan(q)) mean.Add(q);
  }
  return mean.count > 0 ? mean.Value() : std::nan("");
}

std::vector<size_t> Priced(absl::Span<const float> scores, size_t experts, size_t rows,
                           absl::Span<const double> cost, double price) {
  std::vector<float> net(scores.begin(), scores.end());
  for (size_t at = 0; at < net.size(); ++at) {
    net[at] = static_cast<float>(net[at] - price * cost[at / rows]);
  }
  return LargestScore(net, experts, rows);
}

double MeanOf(absl::Span<const size_t> choice, absl::Span<const double> cost) {
  double sum = 0;
  for (const size_t e : choice) sum += cost[e];
  return choice.empty() ? 0 : sum / static_cast<double>(choice.size());
}

// The prices on both sides of the budget: at `fits` the choices cost no more than it in the mean,
// at `exceeds` (a rounding lower) they cost more. Both 0 where even the unpriced choices fit.
struct PriceBracket {
  double exceeds = 0, fits = 0;
};

PriceBracket PriceFor(double budget, absl::Span<const float> scores, size_t experts, size_t rows,
                      absl::Span<const double> cost) {
  if (MeanOf(Priced(scores, experts, rows, cost, 0), cost) <= budget) return {};
  double gap = 0;  // above 1 / the smallest difference of costs, the cheapest always wins
  for (const double a : cost) {
    for (const double b : cost) {
      if (a > b) gap = gap == 0 ? a - b : std::min(gap, a - b);
    }
  }
  PriceBracket bracket{0, gap > 0 ? 1.01 / gap : 0};
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (bracket.exceeds + bracket.fits);
    const bool fits = MeanOf(Priced(scores, experts, rows, cost, middle), cost) <= budget;
    (fits ? bracket.fits : bracket.exceeds) = middle;
  }
  return bracket;
}

// The most quality that `budget` can buy, a mixture of the choices on both sides of it.
double OracleAt(double budget, const OutcomeTable& table, absl::Span<const double> cost) {
  const size_t experts = table.experts.size(), rows = table.rows();
  const PriceBracket bracket = PriceFor(budget, table.quality, experts, rows, cost);
  const auto at = [&](double price) {
    return EvaluateChoice("", table, Priced(table.quality, experts, rows, cost, price));
  };
  const PolicyReport below = at(bracket.fits), above = at(bracket.exceeds);
  const double gap = above.mean_cost - below.mean_cost;
  const double share = gap > 0 ? std::clamp((budget - below.mean_cost) / gap, 0.0, 1.0) : 0;
  return below.quality + share * (above.quality - below.quality);
}

double HullAt(std::vector<std::pair<double, double>> points, double cost) {
  double best = 0;
  for (const auto& a : points) {
    if (a.first <= cost) best = std::max(best, a.second);
    for (const auto& b : points) {
      if (!(a.first <= cost && b.first > cost)) continue;
      const double share = (cost - a.first) / (b.first - a.first);
      best = std::max(best, (1 - share) * a.second + share * b.second);
    }
  }
  return best;
}

}  // namespace

PolicyReport EvaluateChoice(std::string name, const OutcomeTable& table,
                            absl::Span<const size_t> choice) {
  Mean quality, cost;
  for (size_t row = 0; row < table.rows(); ++row) {
    const size_t at = table.At(choice[row], row);
    if (!std::isnan(table.quality[at])) quality.Add(table.quality[at]);
    if (!std::isnan(table.cost[at])) cost.Add(table.cost[at]);
  }
  return {std::move(name), quality.Value(), quality.StandardError(), cost.Value()};
}

PolicyReport EvaluateRandom(const OutcomeTable& table) {
  Mean quality, cost;
  for (size_t row = 0; row < table.rows(); ++row) {
    const double mean = RowMean(table, row);
    if (!std::isnan(mean)) quality.Add(mean);
  }
  for (const float c : table.cost) {
    if (!std::isnan(c)) cost.Add(c);
  }
  return {"random", quality.Value(), quality.StandardError(), cost.Value()};
}

std::vector<size_t> LargestScore(absl::Span<const float> scores, size_t experts, size_t rows) {
  std::vector<size_t> choice(rows, 0);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t e = 1; e < experts; ++e) {
      const float best = scores[choice[row] * rows + row];
      if (scores[e * rows + row] > best ||
          (std::isnan(best) && !std::isnan(scores[e * rows + row]))) {
        choice[row] = e;
      }
    }
  }
  return choice;
}

void CompareWithRandom(const OutcomeTable& table, absl::Span<const size_t> choice,
                       double& difference, double& standard_error) {
  Mean paired;
  for (size_t row = 0; row < table.rows(); ++row) {
    const float q = table.quality[table.At(choice[row], row)];
    if (!std::isnan(q)) paired.Add(q - RowMean(table, row));
  }
  difference = paired.Value();
  standard_error = paired.StandardError();
}

std::vector<double> MeanCosts(const OutcomeTable& table) {
  std::vector<double> costs;
  for (size_t e = 0; e < table.experts.size(); ++e) {
    Mean mean;
    for (size_t row = 0; row < table.rows(); ++row) {
      const float c = table.cost[table.At(e, row)];
      if (!std::isnan(c)) mean.Add(c);
    }
    costs.push_back(mean.Value());
  }
  return costs;
}

double MeanQuality(const OutcomeTable& table, size_t expert) {
  Mean mean;
  for (size_t row = 0; row < table.rows(); ++row) {
    const float q = table.quality[table.At(expert, row)];
    if (!std::isnan(q)) mean.Add(q);
  }
  return mean.Value();
}

std::vector<BudgetPoint> EvaluateBudgets(const OutcomeTable& train,
                                         absl::Span<const float> train_predictions,
                                         const OutcomeTable& heldout,
                                         absl::Span<const float> heldout_predictions) {
  constexpr int kLevels = 8;
  std::vector<BudgetPoint> points;
  const size_t experts = train.experts.size();
  if (train.cost_unit.empty() || experts < 2) return points;
  const std::vector<double> cost = MeanCosts(train), heldout_cost = MeanCosts(heldout);
  const double least = *std::min_element(cost.begin(), cost.end());
  const double most = *std::max_element(cost.begin(), cost.end());
  std::vector<std::pair<double, double>> singles;
  for (size_t e = 0; e < experts; ++e) {
    singles.push_back({heldout_cost[e], MeanQuality(heldout, e)});
  }
  for (int level = 0; level < kLevels; ++level) {
    BudgetPoint point;
    // Even steps of the logarithm: experts' costs are orders of magnitude apart.
    const double share = static_cast<double>(level) / (kLevels - 1);
    point.budget = least > 0 ? least * std::pow(most / least, share) : share * most;
    const double price =
        PriceFor(point.budget, train_predictions, experts, train.rows(), cost).fits;
    const PolicyReport ours = EvaluateChoice(
        "", heldout, Priced(heldout_predictions, experts, heldout.rows(), cost, price));
    point.cost = ours.mean_cost;
    point.quality = ours.quality;
    point.hull_quality = HullAt(singles, ours.mean_cost);
    point.oracle_quality = OracleAt(ours.mean_cost, heldout, heldout_cost);
    points.push_back(point);
  }
  return points;
}

}  // namespace penstock::router
