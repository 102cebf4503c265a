#include "router_service/learning/text/cost_quality_frontier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "router_service/learning/text/in_parts.h"

namespace penstock::router {

CostQualityFrontier::CostQualityFrontier(std::vector<CostQuality> points) {
  std::sort(points.begin(), points.end(), [](const CostQuality& a, const CostQuality& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.quality > b.quality;
  });
  for (const CostQuality& point : points) {
    if (!points_.empty() && point.quality <= points_.back().quality) continue;
    while (points_.size() >= 2) {
      const CostQuality& a = points_[points_.size() - 2];
      const CostQuality& b = points_.back();
      const bool above = (b.quality - a.quality) * (point.cost - a.cost) >
                         (point.quality - a.quality) * (b.cost - a.cost);
      if (above) break;
      points_.pop_back();
    }
    points_.push_back(point);
  }
}

double CostQualityFrontier::QualityAt(double cost) const {
  if (points_.empty()) return 0;
  if (cost <= points_.front().cost) return points_.front().quality;
  for (size_t i = 1; i < points_.size(); ++i) {
    if (cost > points_[i].cost) continue;
    const CostQuality &a = points_[i - 1], &b = points_[i];
    return a.quality + (b.quality - a.quality) * (cost - a.cost) / (b.cost - a.cost);
  }
  return points_.back().quality;
}

double CostQualityFrontier::CostOf(double quality) const {
  if (!points_.empty() && quality <= points_.front().quality) return points_.front().cost;
  for (size_t i = 1; i < points_.size(); ++i) {
    if (quality > points_[i].quality) continue;
    const CostQuality &a = points_[i - 1], &b = points_[i];
    return a.cost + (b.cost - a.cost) * (quality - a.quality) / (b.quality - a.quality);
  }
  return std::numeric_limits<double>::infinity();
}

double CostQualityFrontier::AverageQuality(double least, double most) const {
  std::vector<double> at = {least, most};
  for (const CostQuality& point : points_) {
    if (point.cost > least && point.cost < most) at.push_back(point.cost);
  }
  std::sort(at.begin(), at.end());
  double area = 0;
  for (size_t i = 1; i < at.size(); ++i) {
    area += (at[i] - at[i - 1]) * (QualityAt(at[i]) + QualityAt(at[i - 1])) / 2;
  }
  return area / (most - least);
}

bool RecordedOutcomes::Known(size_t expert, size_t row) const {
  const size_t at = expert * rows() + row;
  return !std::isnan(quality[at]) && !std::isnan(cost[at]);
}

CostQuality RecordedOutcomes::Mean(size_t expert) const {
  CostQuality sum;
  double count = 0;
  for (size_t row = 0; row < rows(); ++row) {
    if (!Known(expert, row)) continue;
    sum.cost += cost[expert * rows() + row];
    sum.quality += quality[expert * rows() + row];
    count += 1;
  }
  return count == 0 ? CostQuality{} : CostQuality{sum.cost / count, sum.quality / count};
}

std::vector<SweptPoint> SweepPrices(const RecordedOutcomes& outcomes,
                                    absl::Span<const float> quality, absl::Span<const float> cost,
                                    absl::Span<const uint8_t> taken) {
  const size_t rows = outcomes.rows();
  double dearest = 0;
  for (size_t e = 0; e < outcomes.experts; ++e) {
    dearest = std::max(dearest, outcomes.Mean(e).cost);
  }
  std::vector<SweptPoint> points(1);
  for (int i = -300; i <= 180; ++i) {
    points.push_back({std::pow(10.0, i / 60.0) / std::max(dearest, 1e-300), {}});
  }
  InParts(points.size(), 8, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      SweptPoint& point = points[i];
      double count = 0;
      for (size_t row = 0; row < rows; ++row) {
        if (!taken.empty() && !taken[row]) continue;
        double most = -std::numeric_limits<double>::infinity();
        size_t chosen = outcomes.experts;
        for (size_t e = 0; e < outcomes.experts; ++e) {
          if (!outcomes.Known(e, row)) continue;
          const size_t at = e * rows + row;
          const double net = quality[at] - point.price * cost[at];
          if (net > most) {
            most = net;
            chosen = e;
          }
        }
        if (chosen == outcomes.experts) continue;
        point.mean.cost += outcomes.cost[chosen * rows + row];
        point.mean.quality += outcomes.quality[chosen * rows + row];
        count += 1;
      }
      if (count > 0) point.mean = {point.mean.cost / count, point.mean.quality / count};
    }
  });
  return points;
}

RoutingFigures MeasureRouting(const RecordedOutcomes& outcomes, absl::Span<const float> quality,
                              absl::Span<const float> cost) {
  RoutingFigures figures;
  std::vector<CostQuality> singles;
  for (size_t e = 0; e < outcomes.experts; ++e) singles.push_back(outcomes.Mean(e));
  if (singles.empty()) return figures;
  double least = singles[0].cost, most = singles[0].cost;
  CostQuality cheapest = singles[0], best = singles[0];
  for (const CostQuality& single : singles) {
    least = std::min(least, single.cost);
    most = std::max(most, single.cost);
    if (single.cost < cheapest.cost) cheapest = single;
    if (single.quality > best.quality) best = single;
  }
  std::vector<CostQuality> routed = {cheapest};
  for (const SweptPoint& point : SweepPrices(outcomes, quality, cost)) {
    routed.push_back(point.mean);
  }
  const CostQualityFrontier of_singles(singles), of_router(routed);
  figures.best_quality = best.quality;
  figures.best_cost = best.cost;
  const double share = std::max(best.cost, 1e-300);
  figures.cost_at_95 = of_router.CostOf(0.95 * best.quality) / share;
  figures.singles_cost_at_95 = of_singles.CostOf(0.95 * best.quality) / share;
  if (most > least) {
    figures.singles_aiq = of_singles.AverageQuality(least, most);
    figures.aiq = of_router.AverageQuality(least, most);
  } else {
    figures.singles_aiq = figures.aiq = best.quality;
  }
  return figures;
}

}  // namespace penstock::router
