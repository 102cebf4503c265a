#include <cmath>
#include <vector>

#include "kernels/gated_delta/gated_delta.h"

namespace penstock::kernels {
namespace {

// A head's vector of one token, normalised where asked for.
std::vector<double> Vector(const float* x, int64_t dim, bool normalise) {
  std::vector<double> vector(x, x + dim);
  if (!normalise) return vector;
  double squares = static_cast<double>(kDeltaNormEps);
  for (double value : vector) squares += value * value;
  for (double& value : vector) value /= std::sqrt(squares);
  return vector;
}

// One token of one value head. s: its state [key_dim][value_dim].
void Step(const GatedDeltaArgs& args, int64_t token, int64_t head, double scale,
          std::vector<double>* s) {
  const int64_t dk = args.key_dim, dv = args.value_dim;
  const int64_t at = token * args.value_heads + head;
  const int64_t key = token * args.key_heads + head / (args.value_heads / args.key_heads);
  const std::vector<double> q = Vector(args.q + key * dk, dk, args.normalise);
  const std::vector<double> k = Vector(args.k + key * dk, dk, args.normalise);
  const double decay = args.g[at] <= kForgetGate ? 0 : std::exp(static_cast<double>(args.g[at]));
  for (double& value : *s) value *= decay;
  for (int64_t j = 0; j < dv; ++j) {
    double predicted = 0, y = 0;
    for (int64_t c = 0; c < dk; ++c) {
      predicted += k[static_cast<size_t>(c)] * (*s)[static_cast<size_t>(c * dv + j)];
    }
    const double u =
        static_cast<double>(args.beta[at]) * (static_cast<double>(args.v[at * dv + j]) - predicted);
    for (int64_t c = 0; c < dk; ++c) {
      double& value = (*s)[static_cast<size_t>(c * dv + j)];
      value += k[static_cast<size_t>(c)] * u;
      y += q[static_cast<size_t>(c)] * value;
    }
    args.y[at * dv + j] = static_cast<float>(scale * y);
  }
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace. `form` says
// how to compute, not what: here it changes nothing.
Status GatedDeltaReference(const GatedDeltaArgs& args) {
  const Status status = CheckGatedDelta(args);
  if (!status.ok()) return status;
  const int64_t dk = args.key_dim, dv = args.value_dim;
  if (dv == 0) return status;
  const double scale =
      args.scale != 0 ? static_cast<double>(args.scale) : 1 / std::sqrt(static_cast<double>(dk));
  std::vector<double> s(static_cast<size_t>(dk * dv));
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    const int64_t first = args.offsets[sequence], last = args.offsets[sequence + 1];
    for (int64_t head = 0; head < args.value_heads && first < last; ++head) {
      float* state = args.state + (sequence * args.value_heads + head) * StateFloats(dk, dv);
      for (int64_t c = 0; c < dk; ++c) {
        for (int64_t j = 0; j < dv; ++j) {
          s[static_cast<size_t>(c * dv + j)] = static_cast<double>(state[StateIndex(dk, c, j)]);
        }
      }
      for (int64_t t = first; t < last; ++t) Step(args, t, head, dk == 0 ? 0 : scale, &s);
      for (int64_t c = 0; c < dk; ++c) {
        for (int64_t j = 0; j < dv; ++j) {
          state[StateIndex(dk, c, j)] = static_cast<float>(s[static_cast<size_t>(c * dv + j)]);
        }
      }
    }
  }
  return status;
}

}  // namespace penstock::kernels
