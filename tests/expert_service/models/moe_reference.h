#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

namespace penstock::expert {

// A mixture of experts as its definition reads, in float64 loops.
struct ReferenceMlp {
  std::vector<double> gate;  // [f, d]
  std::vector<double> up;    // [f, d]
  std::vector<double> down;  // [d, f]
};

using ReferenceActivation = std::function<double(double gate, double up)>;

inline double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
inline double ReferenceSwiGlu(double gate, double up) { return gate * Sigmoid(gate) * up; }

// W x, W [x.size() columns].
inline std::vector<double> Times(const std::vector<double>& weight, const std::vector<double>& x) {
  std::vector<double> y(weight.size() / x.size());
  for (size_t i = 0; i < y.size(); ++i) {
    y[i] = std::inner_product(x.begin(), x.end(),
                              weight.begin() + static_cast<int64_t>(i * x.size()), 0.0);
  }
  return y;
}

inline std::vector<double> RunReference(const ReferenceMlp& mlp,
                                        const ReferenceActivation& activation,
                                        const std::vector<double>& x) {
  std::vector<double> hidden = Times(mlp.gate, x);
  const std::vector<double> up = Times(mlp.up, x);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = activation(hidden[i], up[i]);
  return Times(mlp.down, hidden);
}

struct ReferenceMoe {
  std::vector<double> router;  // [experts, d]
  std::vector<double> bias;    // [experts], or empty
  std::vector<ReferenceMlp> experts;
  std::optional<ReferenceMlp> shared;
  std::vector<double> shared_weight;  // [d], or empty
  size_t top_k = 1;
  bool sigmoid = false;  // scores; else softmax
  bool renormalize = true;
  double scale = 1;
  ReferenceActivation activation = ReferenceSwiGlu;
};

inline std::vector<double> RunReference(const ReferenceMoe& moe, const std::vector<double>& x) {
  std::vector<double> scores = Times(moe.router, x);
  if (moe.sigmoid) {
    for (double& score : scores) score = Sigmoid(score);
  } else {
    const double top = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - top);
    for (double& score : scores) score /= sum;
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t e) { return scores[e] + (moe.bias.empty() ? 0 : moe.bias[e]); };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
  order.resize(moe.top_k);
  double sum = 0;
  for (const size_t e : order) sum += scores[e];

  std::vector<double> y(moe.experts[0].down.size() * x.size() / moe.experts[0].gate.size());
  const auto add = [&](double weight, const ReferenceMlp& mlp) {
    const std::vector<double> part = RunReference(mlp, moe.activation, x);
    for (size_t i = 0; i < y.size(); ++i) y[i] += weight * part[i];
  };
  for (const size_t e : order) {
    add(moe.scale * scores[e] / (moe.renormalize ? sum : 1), moe.experts[e]);
  }
  if (moe.shared) {
    add(moe.shared_weight.empty() ? 1 : Sigmoid(Times(moe.shared_weight, x)[0]), *moe.shared);
  }
  return y;
}

// x / sqrt(mean(x^2) + eps) * weight.
inline std::vector<double> ReferenceNorm(const std::vector<double>& x,
                                         const std::vector<double>& weight, double eps) {
  const double square = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  const double scale = 1 / std::sqrt(square / static_cast<double>(x.size()) + eps);
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * scale * weight[i];
  return y;
}

// ||got - wanted|| / ||wanted||; NaN where something is.
inline double RelativeError(const std::vector<float>& got, const std::vector<double>& wanted) {
  double difference = 0, square = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double d = (i < got.size() ? double{got[i]} : NAN) - wanted[i];
    difference += d * d;
    square += wanted[i] * wanted[i];
  }
  return got.size() == wanted.size() ? std::sqrt(difference / square) : NAN;
}

}  // namespace penstock::expert
