#include "router_service/baseline_cascades/quality_gap.h"

#include <algorithm>
#include <set>

namespace penstock::router {

std::vector<float> GapLabels(absl::Span<const float> gaps, size_t samples, double tolerance) {
  std::vector<float> labels;
  for (size_t begin = 0; begin < gaps.size(); begin += samples) {
    size_t within = 0;
    for (size_t i = begin; i < begin + samples; ++i) within += double{gaps[i]} >= -tolerance;
    labels.push_back(static_cast<float>(within) / static_cast<float>(samples));
  }
  return labels;
}

double LabelSpread(std::vector<float> labels) {
  if (labels.size() < 2) return 0;
  std::sort(labels.begin(), labels.end());
  // Sum of differences of sorted values: each is subtracted from those above it.
  const double n = static_cast<double>(labels.size());
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) sum += labels[i] * (2 * static_cast<double>(i) - n + 1);
  return 2 * sum / (n * (n - 1));
}

double WidestTolerance(absl::Span<const float> gaps, size_t samples) {
  std::set<double> tolerances = {0};
  for (const float gap : gaps) {
    if (gap < 0) tolerances.insert(-double{gap});
  }
  double best = 0, widest = -1;
  for (const double tolerance : tolerances) {
    const double spread = LabelSpread(GapLabels(gaps, samples, tolerance));
    if (spread > widest) {
      widest = spread;
      best = tolerance;
    }
  }
  return best;
}

}  // namespace penstock::router
