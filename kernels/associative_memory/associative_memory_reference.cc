#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/associative_memory/associative_memory.h"

namespace penstock::kernels {
namespace {

using Row = std::vector<double>;

Row LayerNorm(const AssociativeMemoryWeights& w, const float* x) {
  const size_t d = static_cast<size_t>(w.keys.in);
  Row h(x, x + d);
  double mean = 0, variance = 0;
  for (double v : h) mean += v / static_cast<double>(d);
  for (double v : h) variance += (v - mean) * (v - mean) / static_cast<double>(d);
  for (size_t i = 0; i < d; ++i) {
    h[i] = (h[i] - mean) / std::sqrt(variance + static_cast<double>(w.eps)) *
               static_cast<double>(w.norm_weight[i]) +
           (w.norm_bias != nullptr ? static_cast<double>(w.norm_bias[i]) : 0);
  }
  return h;
}

Row Multiply(const LinearWeights& w, const Row& x) {
  Row y;
  for (int64_t n = 0; n < w.out; ++n) {
    double sum = w.bias != nullptr ? static_cast<double>(w.bias[n]) : 0;
    for (int64_t k = 0; k < w.in; ++k) sum += x[static_cast<size_t>(k)] * PanelWeight(w, n, k);
    y.push_back(sum);
  }
  return y;
}

Row Softmax(Row scores) {
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& z : scores) sum += z = std::exp(z - most);
  for (double& z : scores) z /= sum;
  return scores;
}

// history[t] is the input of step t - (width - 1).
double Convolve(const CausalConvWeights& w, const std::vector<Row>& history, size_t t, size_t c) {
  double sum = w.bias != nullptr ? static_cast<double>(w.bias[c]) : 0;
  for (size_t i = 0; i < static_cast<size_t>(w.width); ++i) {
    sum += static_cast<double>(w.taps[i * static_cast<size_t>(w.channels) + c]) * history[t + i][c];
  }
  return sum;
}

double Sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

void Sequence(const AssociativeMemoryWeights& w, size_t steps, const float* x, float* state,
              float* y) {
  const size_t d = static_cast<size_t>(w.keys.in), kept = static_cast<size_t>(w.conv.width - 1);
  std::vector<Row> history(kept, Row(d, 0.0));
  for (size_t i = 0; state != nullptr && i < kept; ++i) {
    history[i].assign(state + i * d, state + (i + 1) * d);
  }
  for (size_t t = 0; t < steps; ++t) {
    history.push_back(LayerNorm(w, x + t * d));
    // To what a state holds: a sequence cut anywhere equals a whole one.
    for (double& v : history.back()) v = static_cast<double>(static_cast<float>(v));
  }
  for (size_t t = 0; t < steps; ++t) {
    const Row& h = history[kept + t];
    const Row global = Multiply(w.values, Softmax(Multiply(w.keys, h)));
    const Row gates = Multiply(w.gates, h);
    for (size_t c = 0; c < d; ++c) {
      y[t * d + c] = static_cast<float>(static_cast<double>(x[t * d + c]) +
                                        Sigmoid(gates[c]) * Convolve(w.conv, history, t, c) +
                                        Sigmoid(gates[d + c]) * global[c]);
    }
  }
  for (size_t i = 0; state != nullptr && i < kept; ++i) {
    for (size_t c = 0; c < d; ++c) state[i * d + c] = static_cast<float>(history[steps + i][c]);
  }
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace.
Status AssociativeMemoryReference(const AssociativeMemoryArgs& args) {
  const Status status = CheckAssociativeMemory(args);
  const int64_t d = args.w.keys.in;
  if (!status.ok() || args.steps == 0 || d == 0) return status;
  for (int64_t s = 0; s < args.sequences; ++s) {
    Sequence(args.w, static_cast<size_t>(args.steps), args.x + s * args.steps * d,
             args.state != nullptr ? args.state + s * (args.w.conv.width - 1) * d : nullptr,
             args.y + s * args.steps * d);
  }
  return status;
}

}  // namespace penstock::kernels
