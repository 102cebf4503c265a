#include "router_service/evaluation/price_sweep.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

struct Sums {
  double quality = 0;
  double cost = 0;
};

// In blocks of floats that vectorise, summed in double: the same bits at every call.
Sums WeightedSums(const float* quality, const float* cost, const float* weight, size_t rows) {
  constexpr size_t kBlock = 64;
  Sums sums;
  for (size_t begin = 0; begin < rows; begin += kBlock) {
    const size_t end = std::min(rows, begin + kBlock);
    float q[8] = {}, c[8] = {};
    size_t row = begin;
    for (; row + 8 <= end; row += 8) {
      for (size_t lane = 0; lane < 8; ++lane) {
        q[lane] += weight[row + lane] * quality[row + lane];
        c[lane] += weight[row + lane] * cost[row + lane];
      }
    }
    for (; row < end; ++row) {
      q[0] += weight[row] * quality[row];
      c[0] += weight[row] * cost[row];
    }
    for (size_t lane = 0; lane < 8; ++lane) {
      sums.quality += q[lane];
      sums.cost += c[lane];
    }
  }
  return sums;
}

}  // namespace

SettingOutcomes::SettingOutcomes(size_t setting_count, size_t row_count)
    : settings(setting_count),
      rows(row_count),
      quality(setting_count * row_count),
      cost(setting_count * row_count) {}

void SettingOutcomes::Set(size_t setting, size_t row, float row_quality, float row_cost) {
  quality[setting * rows + row] = row_quality;
  cost[setting * rows + row] = row_cost;
}

std::vector<OperatingPoint> SettingOutcomes::Means(absl::Span<const float> weight) const {
  const std::vector<float> ones(weight.empty() ? rows : 0, 1.0f);
  const float* w = weight.empty() ? ones.data() : weight.data();
  double total = 0;
  for (size_t row = 0; row < rows; ++row) total += w[row];
  std::vector<OperatingPoint> means(settings);
  for (size_t setting = 0; setting < settings; ++setting) {
    const Sums sums =
        WeightedSums(quality.data() + setting * rows, cost.data() + setting * rows, w, rows);
    means[setting] = {sums.cost / total, sums.quality / total};
  }
  return means;
}

SettingOutcomes SweepPrices(const ExpertRows& estimated_quality, const ExpertRows& estimated_cost,
                            const ExpertRows& quality, const ExpertRows& cost,
                            absl::Span<const double> prices) {
  const size_t rows = quality.rows;
  const size_t experts = quality.values.size() / rows;
  SettingOutcomes outcomes(prices.size(), rows);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t setting = 0; setting < prices.size(); ++setting) {
      size_t best = 0;
      double best_value = 0;
      for (size_t expert = 0; expert < experts; ++expert) {
        const double value = double{estimated_quality.At(expert, row)} -
                             prices[setting] * estimated_cost.At(expert, row);
        if (expert == 0 || value > best_value) {
          best = expert;
          best_value = value;
        }
      }
      outcomes.Set(setting, row, quality.At(best, row), cost.At(best, row));
    }
  }
  return outcomes;
}

std::vector<double> PriceGrid(double dearest_cost, size_t count) {
  std::vector<double> prices = {0};
  for (size_t i = 0; i < count; ++i) {
    const double exponent = -3 + 6 * static_cast<double>(i) / static_cast<double>(count - 1);
    prices.push_back(std::pow(10.0, exponent) / dearest_cost);
  }
  return prices;
}

std::vector<OperatingPoint> RealisedCurve(absl::Span<const OperatingPoint> planned,
                                          absl::Span<const OperatingPoint> realised) {
  std::vector<OperatingPoint> curve;
  for (const OperatingPoint& corner : Frontier(planned)) {
    // The lowest setting with the corner's means: which one it is says nothing about the others.
    for (size_t setting = 0; setting < planned.size(); ++setting) {
      if (planned[setting].cost == corner.cost && planned[setting].quality == corner.quality) {
        curve.push_back(realised[setting]);
        break;
      }
    }
  }
  return curve;
}

double MeanHeight(absl::Span<const OperatingPoint> curve, double cheapest, double dearest) {
  double area = 0;
  double cost = cheapest;
  double quality = curve.front().quality;
  for (size_t i = 0; i < curve.size() && cost < dearest; ++i) {
    const OperatingPoint& point = curve[i];
    if (point.cost <= cost) {
      quality = point.quality;
      continue;
    }
    const double end = std::min(point.cost, dearest);
    const double share = (end - cost) / (point.cost - cost);
    // Flat up to the first point: nothing cheaper was planned.
    const double end_quality =
        i == 0 ? point.quality : quality + share * (point.quality - quality);
    area += (end - cost) * (quality + end_quality) / 2;
    cost = end;
    quality = end_quality;
  }
  area += (dearest - cost) * quality;
  return area / (dearest - cheapest);
}

}  // namespace penstock::router
