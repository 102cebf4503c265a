#include "router_service/gating/weights/dselect_k_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "router_service/gating/weights/smooth_step.h"
#include "router_service/gating/weights/softmax.h"

namespace penstock::router {
namespace {

constexpr double kTiny = 1e-6;  // keeps logarithms and inverses finite

}  // namespace

size_t CodeBits(size_t experts) {
  size_t bits = 0;
  while ((size_t{1} << bits) < experts) ++bits;
  return bits;
}

DselectKWeights::DselectKWeights(const DselectKOptions& options)
    : options_(options), bits_(CodeBits(options.experts)) {}

double DselectKWeights::CodeProbability(absl::Span<const double> u, size_t code) const {
  double p = 1;
  for (size_t b = 0; b < bits_; ++b) {
    const double one = SmoothStep(u[b], options_.width);
    p *= Bit(code, b) ? one : 1 - one;
  }
  return p;
}

// Of the code's probability by u[bit].
double DselectKWeights::SlopeOf(absl::Span<const double> u, size_t code, size_t bit) const {
  double slope = SmoothStepSlope(u[bit], options_.width) * (Bit(code, bit) ? 1 : -1);
  for (size_t b = 0; b < bits_ && slope != 0; ++b) {
    if (b == bit) continue;
    const double one = SmoothStep(u[b], options_.width);
    slope *= Bit(code, b) ? one : 1 - one;
  }
  return slope;
}

double DselectKWeights::ReachableMass(absl::Span<const double> u) const {
  double mass = 0;
  for (size_t i = 0; i < options_.experts; ++i) mass += CodeProbability(u, i);
  return mass;
}

void DselectKWeights::Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
                              absl::Span<double> weights) const {
  static_cast<void>(scalars);
  const size_t k = options_.selectors, n = options_.experts;
  std::vector<double> mix(k);
  Softmax(heads.subspan(k * bits_, k), absl::MakeSpan(mix));
  std::fill(weights.begin(), weights.end(), 0.0);
  double mass = 0;
  for (size_t s = 0; s < k; ++s) {
    for (size_t i = 0; i < n; ++i) {
      const double g = mix[s] * CodeProbability(heads.subspan(s * bits_, bits_), i);
      weights[i] += g;
      mass += g;
    }
  }
  if (mass > kTiny) {
    for (double& weight : weights) weight /= mass;
    return;
  }
  const size_t heaviest =
      static_cast<size_t>(std::max_element(mix.begin(), mix.end()) - mix.begin());
  std::vector<size_t> codes(n);
  std::iota(codes.begin(), codes.end(), size_t{0});
  std::fill(weights.begin(), weights.end(), 0.0);
  weights[NearestCode(*this, heads.subspan(heaviest * bits_, bits_), codes)] = 1;
}

void DselectKWeights::Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                               absl::Span<const double> weight_gradient,
                               absl::Span<double> head_gradient,
                               absl::Span<double> scalar_gradient) const {
  static_cast<void>(scalars);
  static_cast<void>(scalar_gradient);
  const size_t k = options_.selectors, n = options_.experts;
  std::vector<double> mix(k), probability(k * n), sum(n, 0.0);
  Softmax(heads.subspan(k * bits_, k), absl::MakeSpan(mix));
  double mass = 0, mean = 0;
  for (size_t s = 0; s < k; ++s) {
    for (size_t i = 0; i < n; ++i) {
      probability[s * n + i] = CodeProbability(heads.subspan(s * bits_, bits_), i);
      sum[i] += mix[s] * probability[s * n + i];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    mass += sum[i];
    mean += sum[i] * weight_gradient[i];
  }
  if (!(mass > kTiny)) return;  // the weights are constant there
  mean /= mass;
  std::vector<double> mix_gradient(k, 0.0);
  for (size_t s = 0; s < k; ++s) {
    const absl::Span<const double> u = heads.subspan(s * bits_, bits_);
    for (size_t i = 0; i < n; ++i) {
      const double by_sum = (weight_gradient[i] - mean) / mass;
      mix_gradient[s] += by_sum * probability[s * n + i];
      for (size_t b = 0; b < bits_; ++b) {
        head_gradient[s * bits_ + b] += by_sum * mix[s] * SlopeOf(u, i, b);
      }
    }
  }
  AddSoftmaxGradient(mix, mix_gradient, head_gradient.subspan(k * bits_, k));
}

double DselectKWeights::Penalty(absl::Span<const double> heads,
                                absl::Span<double> head_gradient) const {
  const size_t codes = size_t{1} << bits_, n = options_.experts;
  double penalty = 0;
  for (size_t s = 0; s < options_.selectors; ++s) {
    const absl::Span<const double> u = heads.subspan(s * bits_, bits_);
    const double reach = options_.reachability / (kTiny + ReachableMass(u));
    const bool unreachable = codes > n;
    if (unreachable) penalty += reach;
    for (size_t i = 0; i < codes; ++i) {
      const double p = CodeProbability(u, i);
      penalty -= options_.entropy * p * std::log(p + kTiny);
      double by_p = -options_.entropy * (std::log(p + kTiny) + p / (p + kTiny));
      if (unreachable && i < n) by_p -= reach * reach / options_.reachability;
      for (size_t b = 0; b < bits_; ++b) head_gradient[s * bits_ + b] += by_p * SlopeOf(u, i, b);
    }
  }
  return penalty;
}

size_t NearestCode(const DselectKWeights& weights, absl::Span<const double> u,
                   absl::Span<const size_t> codes) {
  size_t best = 0;
  double best_p = -1, best_distance = 0;
  for (size_t at = 0; at < codes.size(); ++at) {
    const double p = weights.CodeProbability(u, codes[at]);
    double distance = 0;
    for (size_t b = 0; b < u.size(); ++b) {
      const bool bit = (codes[at] >> (u.size() - 1 - b)) & 1;
      if (bit != (u[b] > 0)) distance += std::abs(u[b]);
    }
    if (p > best_p || (p == best_p && distance < best_distance)) {
      best = at;
      best_p = p;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace penstock::router
