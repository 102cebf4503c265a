#include "router_service/evaluation/strong_share.h"

#include <limits>

namespace penstock::router {

double StrongShareCurve::Apgr() const {
  double sum = (recovered.front() + recovered.back()) / 2;
  for (int step = 1; step < kSteps; ++step) sum += recovered[static_cast<size_t>(step)];
  return sum / kSteps;
}

double StrongShareCurve::Cpt(double level) const {
  if (recovered.front() >= level) return 0;
  for (size_t step = 1; step < recovered.size(); ++step) {
    if (recovered[step] < level) continue;
    const double share =
        (level - recovered[step - 1]) / (recovered[step] - recovered[step - 1]);
    return (static_cast<double>(step - 1) + share) / kSteps;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

StrongShareCurve CurveOverStrongShare(absl::Span<const size_t> order, absl::Span<const float> weak,
                                      absl::Span<const float> strong,
                                      absl::Span<const float> weight) {
  double total = 0, gap = 0;
  for (const size_t row : order) {
    const double w = weight.empty() ? 1.0 : weight[row];
    total += w;
    gap += w * (strong[row] - weak[row]);
  }
  StrongShareCurve curve;
  if (gap == 0) {
    curve.recovered.fill(std::numeric_limits<double>::quiet_NaN());
    return curve;
  }
  double passed = 0, gained = 0;
  size_t step = 1;
  for (const size_t row : order) {
    const double w = weight.empty() ? 1.0 : weight[row];
    if (w == 0) continue;
    const double gain = strong[row] - weak[row];
    while (step < StrongShareCurve::kSteps) {
      const double mark = total * static_cast<double>(step) / StrongShareCurve::kSteps;
      if (passed + w < mark) break;
      curve.recovered[step++] = (gained + (mark - passed) * gain) / gap;
    }
    passed += w;
    gained += w * gain;
  }
  curve.recovered.back() = 1;
  return curve;
}

}  // namespace penstock::router
