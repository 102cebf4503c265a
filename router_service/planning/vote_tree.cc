#include "router_service/planning/vote_tree.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

// A wider fan-in changes s by less than a thousandth.
constexpr size_t kWidest = 1025;

absl::Status InRange(double value, double low, double high, absl::string_view field) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, ", wanted from ", low, " to ", high));
}

}  // namespace

double MajoritySignal(size_t voters, double signal) {
  const double p = std::clamp(0.5 * (1 + signal), 0.0, 1.0);
  if (p <= 0 || p >= 1) return 2 * p - 1;
  const double b = static_cast<double>(voters);
  double right = 0;
  for (size_t j = (voters + 1) / 2; j <= voters; ++j) {
    const double n = static_cast<double>(j);
    right += std::exp(std::lgamma(b + 1) - std::lgamma(n + 1) - std::lgamma(b - n + 1) +
                      n * std::log(p) + (b - n) * std::log1p(-p));
  }
  return 2 * right - 1;
}

double MajoritySlope(size_t voters) {
  // b C(b - 1, h) / 2^(b - 1), h = (b - 1) / 2, as a product of factors near 1.
  double slope = static_cast<double>(voters);
  const size_t half = (voters - 1) / 2;
  for (size_t i = 1; i <= half; ++i) {
    slope *= (static_cast<double>(half + i) / static_cast<double>(i)) * 0.25;
  }
  return slope;
}

double LevelGain(size_t voters, double fidelity, double correlation) {
  return fidelity * (correlation + (1 - correlation) * MajoritySlope(voters));
}

double FixedSignal(size_t voters, double fidelity, double correlation) {
  if (LevelGain(voters, fidelity, correlation) <= 1) return 0;
  // f_b is concave above 0, so what a level adds is positive up to the fixed signal and negative
  // beyond.
  double low = 0, high = 1;
  for (int i = 0; i < 200; ++i) {
    const double mu = 0.5 * (low + high);
    const double next =
        correlation * fidelity * mu + (1 - correlation) * MajoritySignal(voters, fidelity * mu);
    (next > mu ? low : high) = mu;
  }
  return 0.5 * (low + high);
}

double AveragingFloor(size_t voters, double correlation, double noise_variance) {
  return noise_variance / (static_cast<double>(voters - 1) * (1 - correlation));
}

absl::StatusOr<VoteTreePlan> PlanVoteTree(const VoteTreeRequest& request) {
  constexpr double kAny = 1e300;
  for (const absl::Status& status :
       {InRange(request.budget, 1e-300, kAny, "budget"), InRange(request.beta, 0, 10, "beta"),
        InRange(request.kappa, 0, kAny, "kappa"), InRange(request.message, 1e-300, kAny, "message"),
        InRange(request.window, 0, kAny, "window"), InRange(request.fidelity, 0, 1, "fidelity"),
        InRange(request.correlation, 0, 1, "correlation"),
        InRange(request.message_cost, 0, kAny, "message_cost"),
        InRange(request.least_leaf, 0, kAny, "least_leaf")}) {
    if (!status.ok()) return status;
  }
  if (request.voters != 0 && (request.voters < 3 || request.voters % 2 == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("voters is ", request.voters, ", wanted an odd number of at least 3"));
  }
  const auto leaf_signal = [&request](double x) {
    return std::min(1.0, request.kappa * std::pow(x, request.beta));
  };
  VoteTreePlan best;
  best.single_signal = best.signal = leaf_signal(request.budget);
  best.leaf_budget = request.budget;
  double best_exponent = 0;
  const double widest = std::floor(request.window / request.message);
  for (size_t b = 3; static_cast<double>(b) <= widest && b <= kWidest; b += 2) {
    if (request.voters != 0 && b != request.voters) continue;
    const double alpha = LevelGain(b, request.fidelity, request.correlation);
    if (alpha <= 1) continue;
    const double fan_in = static_cast<double>(b);
    const double s = std::log(alpha) / std::log(fan_in);
    if (best.leaves == 1 && s > best_exponent) {
      best_exponent = s;
      best.gain = alpha;
      best.exponent = s;
    }
    if (s <= request.beta) continue;
    best.voting_can_pay = true;
    const double fixed = FixedSignal(b, request.fidelity, request.correlation);
    double grown = 1;  // alpha^L
    double leaves = 1;
    for (size_t level = 1; level <= 64; ++level) {
      grown *= alpha;
      leaves *= fan_in;
      const double x =
          (request.budget - request.message_cost * leaves * fan_in / (fan_in - 1)) / leaves;
      if (x < request.least_leaf || x <= 0) break;
      const double leaf = leaf_signal(x);
      const double signal = std::min(fixed, grown * leaf);
      if (signal <= best.signal) continue;
      best.signal = signal;
      best.leaves = static_cast<size_t>(leaves);
      best.voters = b;
      best.levels = level;
      best.leaf_budget = x;
      best.gain = alpha;
      best.exponent = s;
      best.mixing_levels =
          leaf > 0 && leaf < fixed ? std::ceil(std::log(fixed / leaf) / std::log(alpha)) : 0;
    }
  }
  return best;
}

}  // namespace penstock::router
