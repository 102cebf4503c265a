#pragma once

#include <vector>

#include "absl/types/span.h"
#include "router_service/evaluation/frontier.h"

namespace penstock::router {

// What every setting of a router gave and cost at every request, [settings, rows]. A setting is a
// price, a budget, a chain with its thresholds: whatever is fixed before requests are seen.
struct SettingOutcomes {
  size_t settings = 0;
  size_t rows = 0;
  std::vector<float> quality;
  std::vector<float> cost;

  SettingOutcomes() = default;
  SettingOutcomes(size_t setting_count, size_t row_count);
  void Set(size_t setting, size_t row, float row_quality, float row_cost);
  // Means over the rows, `weight` times each (empty: once).
  std::vector<OperatingPoint> Means(absl::Span<const float> weight) const;
};

// A matrix [experts, rows], borrowed.
struct ExpertRows {
  absl::Span<const float> values;
  size_t rows = 0;

  float At(size_t expert, size_t row) const { return values[expert * rows + row]; }
};

// For every price the expert with the largest estimated quality - price * estimated cost, ties to
// the lower index; what it gives and costs is taken from the recorded outcomes.
SettingOutcomes SweepPrices(const ExpertRows& estimated_quality, const ExpertRows& estimated_cost,
                            const ExpertRows& quality, const ExpertRows& cost,
                            absl::Span<const double> prices);

// Zero and `count` prices in equal steps of their logarithm, from one at which the dearest expert's
// cost weighs 0.001 of a quality unit to one at which it weighs 1,000.
std::vector<double> PriceGrid(double dearest_cost, size_t count);

// The choice of settings fixed beforehand: `planned` are the means that were seen when it was made
// (on training requests), `realised` the means of the same settings on others. The planned frontier
// tells for every budget which two settings to mix in which shares; the returned curve is what those
// mixtures cost and give, by rising budget. Settings that chance made good on the second part are
// not looked for there: no second hull.
std::vector<OperatingPoint> RealisedCurve(absl::Span<const OperatingPoint> planned,
                                          absl::Span<const OperatingPoint> realised);

// Mean height over [cheapest, dearest] of a curve through these points in turn, flat before its
// first and beyond its last one; where two parts of it overlap in cost, the later one counts.
double MeanHeight(absl::Span<const OperatingPoint> curve, double cheapest, double dearest);

}  // namespace penstock::router
