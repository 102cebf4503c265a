#include "router_service/selection/congestion_game.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/random.h"

namespace penstock::router {
namespace {

// Below it an expert's share is that of logit alone, to the last digit.
constexpr double kNoGamma = 1e-9;
// Quadratic once near; a bound for what rounding might do.
constexpr int kNewtonSteps = 100;

double ShareAt(double q, double gamma, double mu) {
  if (q == -std::numeric_limits<double>::infinity()) return 0;
  if (gamma < kNoGamma) return std::exp(q - mu);
  return LambertWOfExp(std::log(gamma) + q - mu) / gamma;
}

double Distance(absl::Span<const double> a, absl::Span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum;
}

// The equilibrium where what load costs an expert goes by its part of the capacity.
class WeightedGame {
 public:
  WeightedGame(absl::Span<const double> q, absl::Span<const double> part)
      : q_(q), part_(part), gammas_(q.size()), shares_(q.size()) {}

  absl::Span<const double> SharesAt(double gamma) {
    const auto n = static_cast<double>(q_.size());
    for (size_t i = 0; i < q_.size(); ++i) {
      gammas_[i] = part_.empty() ? gamma : part_[i] > 0 ? gamma / (n * part_[i]) : 0;
    }
    CongestionEquilibrium(q_, gammas_, absl::MakeSpan(shares_));
    return shares_;
  }

 private:
  const absl::Span<const double> q_, part_;
  std::vector<double> gammas_, shares_;
};

}  // namespace

double LambertWOfExp(double log_x) {
  // w + log w = log x, by Newton in log w where w is large, by Halley on w e^w = x where it is not.
  if (log_x > 1) {
    double w = log_x - std::log(log_x);
    for (int i = 0; i < 20; ++i) {
      const double step = (w + std::log(w) - log_x) * w / (1 + w);
      w -= step;
      if (std::abs(step) <= 1e-15 * w) break;
    }
    return w;
  }
  const double x = std::exp(log_x);
  double w = std::log1p(x);
  for (int i = 0; i < 20; ++i) {
    const double e = std::exp(w);
    const double f = w * e - x;
    const double step = f / (e * (w + 1) - (w + 2) * f / (2 * w + 2));
    w -= step;
    if (std::abs(step) <= 1e-16 * w) break;
  }
  return w;
}

void CongestionEquilibrium(absl::Span<const double> q, absl::Span<const double> gamma,
                           absl::Span<double> p) {
  // There the best expert alone has a share of 1, and none has more. The sum of shares is convex
  // and falls in mu, so Newton from here comes from one side and never goes too far.
  double mu = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < q.size(); ++i) mu = std::max(mu, q[i] - gamma[i]);
  double sum = 0;
  for (int step = 0; step < kNewtonSteps; ++step) {
    sum = 0;
    double slope = 0;
    for (size_t i = 0; i < q.size(); ++i) {
      p[i] = ShareAt(q[i], gamma[i], mu);
      sum += p[i];
      slope += p[i] / (1 + gamma[i] * p[i]);
    }
    if (!(sum - 1 > 1e-14)) break;
    mu += (sum - 1) / slope;
  }
  for (double& share : p) share /= sum;
}

std::vector<double> CongestionEquilibrium(absl::Span<const double> q, double gamma) {
  const std::vector<double> gammas(q.size(), gamma);
  std::vector<double> p(q.size());
  CongestionEquilibrium(q, gammas, absl::MakeSpan(p));
  return p;
}

double LeastGammaFor(absl::Span<const double> q, absl::Span<const double> part, double target) {
  WeightedGame game(q, part);
  const auto holds = [&](double gamma) {
    const absl::Span<const double> p = game.SharesAt(gamma);
    for (size_t i = 0; i < q.size(); ++i) {
      if (part[i] > 0 && p[i] > target * part[i]) return false;
    }
    return true;
  };
  if (holds(0)) return 0;
  if (!holds(kLargestGamma)) return kLargestGamma;
  double low = std::log(kLeastGamma), high = std::log(kLargestGamma);
  while (high - low > 0.01) {
    const double middle = 0.5 * (low + high);
    (holds(std::exp(middle)) ? high : low) = middle;
  }
  return std::exp(high);
}

double FitGamma(absl::Span<const double> q, absl::Span<const double> observed,
                absl::Span<const double> part) {
  constexpr int kGrid = 28;  // two points a factor of e
  const double first = std::log(kLeastGamma), last = std::log(kLargestGamma);
  const double step = (last - first) / kGrid;
  WeightedGame game(q, part);
  const auto misfit = [&](double log_gamma) {
    return Distance(game.SharesAt(std::exp(log_gamma)), observed);
  };
  int best = 0;
  double least = misfit(first);
  for (int i = 1; i <= kGrid; ++i) {
    const double at = misfit(first + step * i);
    if (at < least) {
      least = at;
      best = i;
    }
  }
  double low = std::max(first, first + step * (best - 1));
  double high = std::min(last, first + step * (best + 1));
  const double golden = 0.5 * (std::sqrt(5.0) - 1);
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = misfit(left), at_right = misfit(right);
  while (high - low > 1e-4) {
    if (at_left <= at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - golden * (high - low);
      at_left = misfit(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + golden * (high - low);
      at_right = misfit(right);
    }
  }
  return std::exp(0.5 * (low + high));
}

GammaEstimate FitGammaOverWindows(absl::Span<const double> q, absl::Span<const double> counts,
                                  size_t draws, uint64_t seed) {
  const size_t n = q.size();
  const size_t windows = counts.size() / n;
  std::vector<double> share(n);
  // False: no load at all.
  const auto normalise = [&] {
    const double sum = std::accumulate(share.begin(), share.end(), 0.0);
    for (double& of_expert : share) of_expert /= sum;
    return sum > 0;
  };
  const auto add = [&](size_t window) {
    for (size_t i = 0; i < n; ++i) share[i] += counts[window * n + i];
  };
  GammaEstimate estimate;
  for (size_t w = 0; w < windows; ++w) add(w);
  if (!normalise()) return estimate;
  estimate.gamma = FitGamma(q, share);
  std::vector<double> fits;
  for (size_t draw = 0; draw < draws; ++draw) {
    CounterRandom random(seed, draw);
    std::fill(share.begin(), share.end(), 0.0);
    for (size_t w = 0; w < windows; ++w) add(random.Below(windows));
    if (normalise()) fits.push_back(FitGamma(q, share));
  }
  if (fits.empty()) {
    estimate.low = estimate.high = estimate.gamma;
    return estimate;
  }
  std::sort(fits.begin(), fits.end());
  const auto quantile = [&](double at) {
    return fits[static_cast<size_t>(at * static_cast<double>(fits.size() - 1) + 0.5)];
  };
  estimate.low = quantile(0.025);
  estimate.high = quantile(0.975);
  return estimate;
}

}  // namespace penstock::router
