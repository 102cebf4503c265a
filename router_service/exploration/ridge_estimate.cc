#include "router_service/exploration/ridge_estimate.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// The ridge of a direction may fade so far before it is restored.
constexpr double kLeastRidge = 0.9;

}  // namespace

RidgeEstimate::RidgeEstimate(size_t dimension, double forget)
    : dimension_(dimension),
      forget_(forget),
      factor_(dimension * dimension, 0),
      moment_(dimension, 0),
      theta_(dimension, 0),
      restored_at_(dimension, 0) {
  for (size_t k = 0; k < dimension_; ++k) factor_[k * dimension_ + k] = 1;
  if (forget_ >= 1) return;
  const double cycle = std::max(1.0, std::floor(std::log(kLeastRidge) / std::log(forget_)));
  restored_each_ = static_cast<size_t>(std::ceil(static_cast<double>(dimension_) / cycle));
}

void RidgeEstimate::Observe(absl::Span<const double> z, double y) {
  ++observed_;
  if (forget_ < 1) {
    const double scale = std::sqrt(forget_);
    for (double& entry : factor_) entry *= scale;
    for (double& entry : moment_) entry *= forget_;
    RestoreRidge();
  }
  scratch_.assign(z.begin(), z.end());
  Rotate(scratch_, 0);
  for (size_t k = 0; k < dimension_; ++k) moment_[k] += z[k] * y;
  Solve();
}

void RidgeEstimate::RestoreRidge() {
  for (size_t i = 0; i < restored_each_; ++i) {
    const size_t k = next_restored_;
    next_restored_ = (next_restored_ + 1) % dimension_;
    const auto age = static_cast<double>(observed_ - restored_at_[k]);
    restored_at_[k] = observed_;
    scratch_.assign(dimension_, 0);
    scratch_[k] = std::sqrt(1 - std::pow(forget_, age));
    Rotate(scratch_, k);
  }
}

void RidgeEstimate::Rotate(std::vector<double>& x, size_t first) {
  for (size_t k = first; k < dimension_; ++k) {
    if (x[k] == 0) continue;
    double& diagonal = factor_[k * dimension_ + k];
    const double length = std::hypot(diagonal, x[k]);
    const double cosine = diagonal / length, sine = x[k] / length;
    diagonal = length;
    for (size_t row = k + 1; row < dimension_; ++row) {
      double& entry = factor_[row * dimension_ + k];
      const double kept = entry;
      entry = cosine * kept + sine * x[row];
      x[row] = cosine * x[row] - sine * kept;
    }
  }
}

void RidgeEstimate::Solve() {
  theta_ = moment_;
  for (size_t row = 0; row < dimension_; ++row) {
    for (size_t k = 0; k < row; ++k) theta_[row] -= factor_[row * dimension_ + k] * theta_[k];
    theta_[row] /= factor_[row * dimension_ + row];
  }
  for (size_t row = dimension_; row-- > 0;) {
    for (size_t k = row + 1; k < dimension_; ++k) {
      theta_[row] -= factor_[k * dimension_ + row] * theta_[k];
    }
    theta_[row] /= factor_[row * dimension_ + row];
  }
}

double RidgeEstimate::Mean(absl::Span<const double> z) const {
  double sum = 0;
  for (size_t k = 0; k < dimension_; ++k) sum += z[k] * theta_[k];
  return sum;
}

double RidgeEstimate::Deviation(absl::Span<const double> z) const {
  // |L^-1 z|.
  thread_local std::vector<double> solved;
  solved.assign(z.begin(), z.end());
  double sum = 0;
  for (size_t row = 0; row < dimension_; ++row) {
    for (size_t k = 0; k < row; ++k) solved[row] -= factor_[row * dimension_ + k] * solved[k];
    solved[row] /= factor_[row * dimension_ + row];
    sum += solved[row] * solved[row];
  }
  return std::sqrt(sum);
}

}  // namespace penstock::router
