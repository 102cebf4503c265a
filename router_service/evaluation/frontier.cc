#include "router_service/evaluation/frontier.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Whether `middle` lies on or below the line from `left` to `right`.
bool Below(const OperatingPoint& left, const OperatingPoint& middle, const OperatingPoint& right) {
  return (middle.quality - left.quality) * (right.cost - left.cost) <=
         (right.quality - left.quality) * (middle.cost - left.cost);
}

double Between(const OperatingPoint& left, const OperatingPoint& right, double cost) {
  const double share = (cost - left.cost) / (right.cost - left.cost);
  return left.quality + share * (right.quality - left.quality);
}

}  // namespace

std::vector<OperatingPoint> Frontier(absl::Span<const OperatingPoint> points) {
  std::vector<OperatingPoint> sorted;
  for (const OperatingPoint& point : points) {
    if (std::isfinite(point.cost) && std::isfinite(point.quality)) sorted.push_back(point);
  }
  std::sort(sorted.begin(), sorted.end(), [](const OperatingPoint& a, const OperatingPoint& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.quality > b.quality;
  });
  std::vector<OperatingPoint> hull;
  for (const OperatingPoint& point : sorted) {
    if (!hull.empty() && point.quality <= hull.back().quality) continue;
    while (hull.size() > 1 && Below(hull[hull.size() - 2], hull.back(), point)) hull.pop_back();
    hull.push_back(point);
  }
  return hull;
}

double QualityAtCost(absl::Span<const OperatingPoint> frontier, double cost) {
  if (frontier.empty() || cost < frontier.front().cost) return kNone;
  for (size_t i = 1; i < frontier.size(); ++i) {
    if (cost < frontier[i].cost) return Between(frontier[i - 1], frontier[i], cost);
  }
  return frontier.back().quality;
}

double CostAtQuality(absl::Span<const OperatingPoint> frontier, double quality) {
  if (frontier.empty() || quality > frontier.back().quality) return kNone;
  if (quality <= frontier.front().quality) return frontier.front().cost;
  for (size_t i = 1; i < frontier.size(); ++i) {
    if (quality <= frontier[i].quality) {
      const double share = (quality - frontier[i - 1].quality) /
                           (frontier[i].quality - frontier[i - 1].quality);
      return frontier[i - 1].cost + share * (frontier[i].cost - frontier[i - 1].cost);
    }
  }
  return frontier.back().cost;
}

double Aiq(absl::Span<const OperatingPoint> frontier, double cheapest, double dearest) {
  double area = 0;
  double cost = cheapest;
  double quality = QualityAtCost(frontier, cheapest);
  for (const OperatingPoint& point : frontier) {
    if (point.cost <= cost || point.cost >= dearest) continue;
    area += (point.cost - cost) * (quality + point.quality) / 2;
    cost = point.cost;
    quality = point.quality;
  }
  area += (dearest - cost) * (quality + QualityAtCost(frontier, dearest)) / 2;
  return area / (dearest - cheapest);
}

}  // namespace penstock::router
