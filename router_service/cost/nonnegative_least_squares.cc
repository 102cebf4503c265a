#include "router_service/cost/nonnegative_least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {

// Memory of about 200 observations.
constexpr double kForget = 0.995;
// What keeps terms apart that the data does not: requests that all have one row.
constexpr double kLeastPrior = 1e-4;
// The start model counts as half an observation.
constexpr double kStartPrior = 0.5;
constexpr double kPriorForget = 0.95;
constexpr double kSurprise = 3;

// Solves the symmetric system of the terms in `mask` by elimination without pivoting: the prior
// makes it positive definite. The other terms are 0.
NonnegativeLeastSquares::Vector SolveSubset(
    std::array<NonnegativeLeastSquares::Vector, NonnegativeLeastSquares::kTerms> a,
    NonnegativeLeastSquares::Vector b, unsigned mask) {
  constexpr size_t n = NonnegativeLeastSquares::kTerms;
  NonnegativeLeastSquares::Vector c{};
  for (size_t j = 0; j < n; ++j) {
    if ((mask >> j & 1) == 0) {
      for (size_t i = 0; i < n; ++i) a[i][j] = a[j][i] = 0;
      a[j][j] = 1;
      b[j] = 0;
    }
  }
  for (size_t p = 0; p < n; ++p) {
    for (size_t i = p + 1; i < n; ++i) {
      const double factor = a[i][p] / a[p][p];
      for (size_t j = p; j < n; ++j) a[i][j] -= factor * a[p][j];
      b[i] -= factor * b[p];
    }
  }
  for (size_t p = n; p-- > 0;) {
    double sum = b[p];
    for (size_t j = p + 1; j < n; ++j) sum -= a[p][j] * c[j];
    c[p] = sum / a[p][p];
  }
  return c;
}

}  // namespace

NonnegativeLeastSquares::NonnegativeLeastSquares(const Vector& start,
                                                 const std::array<bool, kTerms>& used)
    : used_(used) {
  Restart(start);
}

void NonnegativeLeastSquares::Restart(const Vector& start) {
  start_ = start;
  double sum = 0;
  for (size_t j = 0; j < kTerms; ++j) {
    if (!used_[j]) start_[j] = 0;
    sum += start_[j];
  }
  for (size_t j = 0; j < kTerms; ++j) {
    unit_[j] = start_[j] > 0 ? start_[j] : 0.1 * sum;
    if (sum == 0) unit_[j] = 1;
  }
  prior_ = sum == 0 ? kLeastPrior : kStartPrior;
  coefficients_ = start_;
  gram_ = {};
  moment_ = {};
}

double NonnegativeLeastSquares::Predict(const Vector& coefficients, const Vector& x) {
  double sum = 0;
  for (size_t j = 0; j < kTerms; ++j) sum += coefficients[j] * x[j];
  return sum;
}

double NonnegativeLeastSquares::Scale(const Vector& x) const {
  double sum = 0;
  for (size_t j = 0; j < kTerms; ++j) sum += used_[j] ? unit_[j] * x[j] : 0;
  return sum;
}

void NonnegativeLeastSquares::Observe(const Vector& x, double y) {
  if (!std::isfinite(y) || y < 0) return;
  const double scale = Scale(x);
  if (!(scale > 0) || !std::isfinite(scale)) return;
  const double predicted = Predict(coefficients_, x);
  prior_ *= kPriorForget;
  if (y > kSurprise * predicted || predicted > kSurprise * y) prior_ *= 0.5;
  prior_ = std::max(prior_, kLeastPrior);
  const double weight = 1 / (scale * scale);
  for (size_t i = 0; i < kTerms; ++i) {
    for (size_t j = 0; j < kTerms; ++j) {
      gram_[i][j] = kForget * gram_[i][j] + weight * x[i] * x[j];
    }
    moment_[i] = kForget * moment_[i] + weight * x[i] * y;
  }
  Solve();
}

void NonnegativeLeastSquares::Solve() {
  auto gram = gram_;
  Vector moment = moment_;
  for (size_t j = 0; j < kTerms; ++j) {
    const double pull = prior_ / (unit_[j] * unit_[j]);
    gram[j][j] += pull;
    moment[j] += pull * start_[j];
  }
  // The optimum has some set of positive terms. The loss is convex: where its unconstrained optimum is
  // not negative, that is it; else, with three terms, all sets are tried.
  unsigned used = 0;
  for (size_t j = 0; j < kTerms; ++j) used |= used_[j] ? 1u << j : 0;
  const Vector free = SolveSubset(gram, moment, used);
  if (std::all_of(free.begin(), free.end(),
                  [](double c) { return c >= 0 && std::isfinite(c); })) {
    coefficients_ = free;
    return;
  }
  double best = std::numeric_limits<double>::infinity();
  for (unsigned mask = 0; mask < 1u << kTerms; ++mask) {
    bool allowed = true;
    for (size_t j = 0; j < kTerms; ++j) allowed &= used_[j] || (mask >> j & 1) == 0;
    if (!allowed) continue;
    const Vector c = SolveSubset(gram, moment, mask);
    double loss = 0;
    bool valid = true;
    for (size_t i = 0; i < kTerms; ++i) {
      valid &= c[i] >= 0 && std::isfinite(c[i]);
      loss -= 2 * moment[i] * c[i];
      for (size_t j = 0; j < kTerms; ++j) loss += c[i] * gram[i][j] * c[j];
    }
    if (valid && loss < best) {
      best = loss;
      coefficients_ = c;
    }
  }
}

}  // namespace penstock::router
