#include "router_service/learning/calibration.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

double Loss(absl::Span<const float> logits, absl::Span<const float> labels, double offset,
            double slope) {
  double loss = 0.5 * (slope - 1) * (slope - 1);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(labels[i])) continue;
    const double t = offset + slope * logits[i];
    loss += Softplus(t) - labels[i] * t;
  }
  return loss;
}

}  // namespace

double Calibration::Apply(double logit) const { return Sigmoid(offset + logit / tau); }

Calibration FitCalibration(absl::Span<const float> logits, absl::Span<const float> labels) {
  double mass = 0, right = 0;
  for (const float label : labels) {
    if (std::isnan(label)) continue;
    mass += 1;
    right += label;
  }
  // All right or all wrong: the optimum is at infinity, and the logits are the better word.
  if (mass == 0 || right == 0 || right == mass) return {};
  double offset = 0, slope = 1;
  double loss = Loss(logits, labels, offset, slope);
  for (int iteration = 0; iteration < 40; ++iteration) {
    double g0 = 0, g1 = slope - 1, h00 = 1e-9, h01 = 0, h11 = 1;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (std::isnan(labels[i])) continue;
      const double p = Sigmoid(offset + slope * logits[i]);
      const double curvature = p * (1 - p);
      g0 += p - labels[i];
      g1 += (p - labels[i]) * logits[i];
      h00 += curvature;
      h01 += curvature * logits[i];
      h11 += curvature * logits[i] * logits[i];
    }
    const double determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 0)) break;
    const double d0 = (h11 * g0 - h01 * g1) / determinant;
    const double d1 = (h00 * g1 - h01 * g0) / determinant;
    double step = 1, next_offset = offset, next_slope = slope, next_loss = loss;
    for (int halving = 0; halving < 30; ++halving, step /= 2) {
      next_offset = offset - step * d0;
      // Order is never turned around, and never lost.
      next_slope = std::clamp(slope - step * d1, 0.05, 20.0);
      next_loss = Loss(logits, labels, next_offset, next_slope);
      if (next_loss <= loss) break;
    }
    if (!(next_loss < loss)) break;
    const bool settled = loss - next_loss < 1e-12 * (1 + loss);
    offset = next_offset;
    slope = next_slope;
    loss = next_loss;
    if (settled) break;
  }
  return {1 / slope, offset};
}

}  // namespace penstock::router
