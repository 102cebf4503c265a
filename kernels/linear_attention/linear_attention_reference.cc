#include <cmath>
#include <vector>

#include "kernels/linear_attention/linear_attention.h"

namespace penstock::kernels {
namespace {

// One head of one sequence, token after token. s: its state [key_dim][value_dim].
void Scan(const LinearAttentionArgs& args, int64_t first, int64_t last, int64_t head, double scale,
          std::vector<double>* s) {
  const int64_t dk = args.key_dim, dv = args.value_dim;
  std::vector<double> y(static_cast<size_t>(dv));
  for (int64_t t = first; t < last; ++t) {
    const int64_t at = t * args.heads + head;
    y.assign(y.size(), 0.0);
    for (int64_t c = 0; c < dk; ++c) {
      const float g = args.g[at * dk + c];
      const double decay = g <= kForgetGate ? 0 : std::exp(static_cast<double>(g));
      const double q = scale * static_cast<double>(args.q[at * dk + c]);
      const double k = static_cast<double>(args.k[at * dk + c]);
      for (int64_t j = 0; j < dv; ++j) {
        double& value = (*s)[static_cast<size_t>(c * dv + j)];
        value = decay * value + k * static_cast<double>(args.v[at * dv + j]);
        y[static_cast<size_t>(j)] += q * value;
      }
    }
    for (int64_t j = 0; j < dv; ++j) {
      args.y[at * dv + j] = static_cast<float>(y[static_cast<size_t>(j)]);
    }
  }
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace. `form` says
// how to compute, not what: here it changes nothing.
Status LinearAttentionReference(const LinearAttentionArgs& args) {
  const Status status = CheckLinearAttention(args);
  if (!status.ok()) return status;
  const int64_t dk = args.key_dim, dv = args.value_dim;
  if (dv == 0) return status;
  const double scale =
      args.scale != 0 ? static_cast<double>(args.scale) : 1 / std::sqrt(static_cast<double>(dk));
  std::vector<double> s(static_cast<size_t>(dk * dv));
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    const int64_t first = args.offsets[sequence], last = args.offsets[sequence + 1];
    for (int64_t head = 0; head < args.heads && first < last; ++head) {
      float* state = args.state + (sequence * args.heads + head) * StateFloats(dk, dv);
      for (int64_t c = 0; c < dk; ++c) {
        for (int64_t j = 0; j < dv; ++j) {
          s[static_cast<size_t>(c * dv + j)] = static_cast<double>(state[StateIndex(dk, c, j)]);
        }
      }
      Scan(args, first, last, head, scale, &s);
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
