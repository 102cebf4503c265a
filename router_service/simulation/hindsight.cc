#include "router_service/simulation/hindsight.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace penstock::router {
namespace {

struct Sums {
  double quality = 0;
  double predicted_quality = 0;
  double joules = 0;
  double predicted_joules = 0;
};

// How often each row is asked; rows that are not asked are left out.
std::vector<std::pair<uint32_t, double>> Counts(size_t rows, absl::Span<const uint32_t> asked) {
  std::vector<double> count(rows, 0);
  for (const uint32_t row : asked) ++count[row];
  std::vector<std::pair<uint32_t, double>> counts;
  for (uint32_t row = 0; row < rows; ++row) {
    if (count[row] > 0) counts.push_back({row, count[row]});
  }
  return counts;
}

Sums At(const OutcomeMatrix& outcomes, const std::vector<std::pair<uint32_t, double>>& counts,
        double price, HindsightCost cost) {
  Sums sums;
  double requests = 0;
  for (const auto& [row, count] : counts) {
    const OutcomeMatrix::Cell* best = nullptr;
    double best_net = 0;
    for (const OutcomeMatrix::Cell& cell : outcomes.Row(row)) {
      if (std::isnan(cell.quality)) continue;
      const double joules = cost == HindsightCost::kActual ? cell.joules : cell.predicted_joules;
      const double net = cell.predicted_quality - price * joules;
      if (best == nullptr || net > best_net) {
        best = &cell;
        best_net = net;
      }
    }
    if (best == nullptr) continue;
    sums.quality += count * best->quality;
    sums.predicted_quality += count * best->predicted_quality;
    sums.joules += count * best->joules;
    sums.predicted_joules += count * best->predicted_joules;
    requests += count;
  }
  if (requests > 0) {
    sums.quality /= requests;
    sums.predicted_quality /= requests;
    sums.joules /= requests;
    sums.predicted_joules /= requests;
  }
  return sums;
}

// Prices between which the spending crosses the target: `low` spends more, `high` does not. Both 0
// where it is met for nothing; both the largest tried where it cannot be met.
std::pair<double, double> Bracket(const std::function<double(double)>& spending, double target) {
  if (spending(0) <= target) return {0, 0};
  double high = 1 / std::max(target, 1e-12);
  while (spending(high) > target) {
    high *= 2;
    if (high > 1e12) return {high, high};
  }
  double low = high;
  while (spending(low) <= target) low /= 2;
  for (int i = 0; i < 200 && high > low * (1 + 1e-15); ++i) {
    const double middle = std::sqrt(low * high);
    if (middle <= low || middle >= high) break;
    (spending(middle) > target ? low : high) = middle;
  }
  return {low, high};
}

}  // namespace

HindsightPlan AtFixedPrice(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                           double price, HindsightCost cost) {
  const Sums sums = At(outcomes, Counts(outcomes.rows(), rows), price, cost);
  return {price, sums.quality, sums.predicted_quality, sums.joules, 1};
}

HindsightPlan Hindsight(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                        double joules_mean, HindsightCost cost) {
  const auto counts = Counts(outcomes.rows(), rows);
  const auto spending = [&](double price) { return At(outcomes, counts, price, cost).joules; };
  const auto [low, high] = Bracket(spending, joules_mean);
  const Sums below = At(outcomes, counts, low, cost);
  const Sums above = At(outcomes, counts, high, cost);
  HindsightPlan plan;
  plan.price = high;
  plan.dear_share = 1;
  if (below.joules > above.joules) {
    plan.dear_share =
        std::clamp((below.joules - joules_mean) / (below.joules - above.joules), 0.0, 1.0);
  }
  const auto mix = [&](double a, double b) { return a + plan.dear_share * (b - a); };
  plan.quality = mix(below.quality, above.quality);
  plan.predicted_quality = mix(below.predicted_quality, above.predicted_quality);
  plan.joules = mix(below.joules, above.joules);
  return plan;
}

double OfflinePrice(const OutcomeMatrix& outcomes, double joules_mean) {
  std::vector<std::pair<uint32_t, double>> all;
  for (uint32_t row = 0; row < outcomes.rows(); ++row) all.push_back({row, 1});
  return Bracket(
             [&](double price) {
               return At(outcomes, all, price, HindsightCost::kPredicted).predicted_joules;
             },
             joules_mean)
      .second;
}

double MixedSingles(const OutcomeMatrix& outcomes, absl::Span<const uint32_t> rows,
                    double joules_mean) {
  const auto counts = Counts(outcomes.rows(), rows);
  std::vector<std::pair<double, double>> points;  // joules, quality
  for (size_t e = 0; e < outcomes.experts.size(); ++e) {
    double joules = 0, quality = 0, requests = 0;
    for (const auto& [row, count] : counts) {
      const OutcomeMatrix::Cell& cell = outcomes.Row(row)[e];
      if (std::isnan(cell.quality)) continue;
      joules += count * cell.joules;
      quality += count * cell.quality;
      requests += count;
    }
    if (requests > 0) points.push_back({joules / requests, quality / requests});
  }
  // Every mixture of two reaches at most the hull.
  double best = 0;
  for (const auto& [joules, quality] : points) {
    if (joules <= joules_mean) best = std::max(best, quality);
    for (const auto& [more, better] : points) {
      if (joules > joules_mean || more <= joules_mean) continue;
      const double share = (joules_mean - joules) / (more - joules);
      best = std::max(best, quality + share * (better - quality));
    }
  }
  return best;
}

}  // namespace penstock::router
