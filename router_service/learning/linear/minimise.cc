#include "router_service/learning/linear/minimise.h"

#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <utility>

namespace penstock::router {
namespace {

using Vector = std::vector<double>;

double Dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

struct Pair {
  Vector step, change;  // of x, of the gradient
  double curvature = 0;
};

Vector Direction(const std::deque<Pair>& pairs, const Vector& gradient) {
  Vector d = gradient;
  Vector alpha(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = Dot(pairs[i].step, d) / pairs[i].curvature;
    for (size_t j = 0; j < d.size(); ++j) d[j] -= alpha[i] * pairs[i].change[j];
  }
  if (!pairs.empty()) {
    const Pair& last = pairs.back();
    const double scale = last.curvature / Dot(last.change, last.change);
    for (double& value : d) value *= scale;
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const double beta = Dot(pairs[i].change, d) / pairs[i].curvature;
    for (size_t j = 0; j < d.size(); ++j) d[j] += (alpha[i] - beta) * pairs[i].step[j];
  }
  for (double& value : d) value = -value;
  return d;
}

}  // namespace

double Minimise(const Objective& f, Vector& x, const MinimiseOptions& options) {
  constexpr size_t kPairs = 10;
  constexpr double kDecrease = 1e-4, kCurvature = 0.9;
  Vector gradient(x.size()), trial(x.size()), trial_gradient(x.size());
  double value = f(x, gradient);
  std::deque<Pair> pairs;
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    const double norm = std::sqrt(Dot(gradient, gradient));
    if (norm <= options.tolerance * std::max(1.0, std::sqrt(Dot(x, x)))) break;
    Vector direction = Direction(pairs, gradient);
    double slope = Dot(direction, gradient);
    if (!(slope < 0)) {
      pairs.clear();
      direction = Direction(pairs, gradient);
      slope = -norm * norm;
    }
    // Bisection between a step that is too long and one that is too short.
    double step = pairs.empty() ? 1 / std::max(1.0, norm) : 1.0;
    double shortest = 0, longest = std::numeric_limits<double>::infinity();
    double trial_value = value;
    bool decreased = false;
    for (int attempt = 0; attempt < 30; ++attempt) {
      for (size_t j = 0; j < x.size(); ++j) trial[j] = x[j] + step * direction[j];
      trial_value = f(trial, trial_gradient);
      decreased = trial_value <= value + kDecrease * step * slope;
      if (!decreased) {
        longest = step;
      } else if (Dot(direction, trial_gradient) < kCurvature * slope) {
        shortest = step;
      } else {
        break;
      }
      step = std::isinf(longest) ? 2 * step : 0.5 * (shortest + longest);
    }
    if (!decreased) break;  // the value's own rounding is all that is left
    Pair pair{Vector(x.size()), Vector(x.size()), 0};
    for (size_t j = 0; j < x.size(); ++j) {
      pair.step[j] = trial[j] - x[j];
      pair.change[j] = trial_gradient[j] - gradient[j];
    }
    pair.curvature = Dot(pair.step, pair.change);
    if (pair.curvature > 1e-12 * Dot(pair.change, pair.change)) {
      pairs.push_back(std::move(pair));
      if (pairs.size() > kPairs) pairs.pop_front();
    }
    const double gain = value - trial_value;
    x = trial;
    gradient = trial_gradient;
    value = trial_value;
    if (gain <= 1e-9 * std::max(1.0, std::abs(value))) break;
  }
  return value;
}

}  // namespace penstock::router
