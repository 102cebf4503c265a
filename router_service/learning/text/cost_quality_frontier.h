#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Mean cost and mean quality of a way to route.
struct CostQuality {
  double cost = 0;
  double quality = 0;
};

// The upper concave, non-decreasing hull of points: between two of them a random mix of the two.
// RouterBench (Hu et al. 2024, arXiv:2403.12031), "non-decreasing convex hull".
class CostQualityFrontier {
 public:
  explicit CostQualityFrontier(std::vector<CostQuality> points);

  const std::vector<CostQuality>& points() const { return points_; }
  // Carried on flat beyond the last point; the first point's before the first.
  double QualityAt(double cost) const;
  // The least cost that gives this quality; infinite where none does.
  double CostOf(double quality) const;
  // Mean of QualityAt over [least, most]; least < most.
  double AverageQuality(double least, double most) const;

 private:
  std::vector<CostQuality> points_;  // ascending in both
};

// What every expert did with every request, [experts, rows]; NaN = not known.
struct RecordedOutcomes {
  size_t experts = 0;
  absl::Span<const float> quality, cost;

  size_t rows() const { return experts == 0 ? 0 : quality.size() / experts; }
  bool Known(size_t expert, size_t row) const;
  CostQuality Mean(size_t expert) const;  // over the rows known
};

struct SweptPoint {
  double price = 0;
  CostQuality mean;
};

// Routes each request to the expert with the largest quality minus price times cost as predicted
// ([experts, rows]; ties to the lower index; an expert that is not known there cannot be chosen),
// and takes what is recorded. Prices: 0, and 60 a decade over eight decades about 1 / the dearest
// expert's mean.
std::vector<SweptPoint> SweepPrices(const RecordedOutcomes& outcomes,
                                    absl::Span<const float> quality, absl::Span<const float> cost,
                                    absl::Span<const uint8_t> taken = {});

struct RoutingFigures {
  double singles_aiq = 0;  // of mixing single experts at random
  double aiq = 0;          // average quality over [cheapest, dearest expert's mean cost]
  double best_quality = 0, best_cost = 0;  // of the best single expert
  double cost_at_95 = 0;   // for 95 % of that quality, over that cost; infinite: never
  double singles_cost_at_95 = 0;
};
RoutingFigures MeasureRouting(const RecordedOutcomes& outcomes, absl::Span<const float> quality,
                              absl::Span<const float> cost);

}  // namespace penstock::router
