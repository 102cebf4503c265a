#include <cmath>
#include <vector>

#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/gated_mlp/reference_activation.h"

namespace penstock::kernels {
namespace {

double Dot(const LinearWeights& w, int64_t n, const std::vector<double>& x) {
  double sum = 0;
  for (int64_t k = 0; k < w.in; ++k) sum += x[static_cast<size_t>(k)] * PanelWeight(w, n, k);
  return sum;
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace.
Status GatedMlpReference(const GatedMlpArgs& args) {
  const Status status = CheckGatedMlp(args);
  if (!status.ok()) return status;
  const GatedMlpWeights& w = args.w;
  const int64_t d = w.gate_up.in, f = w.down.in, o = w.down.out;
  std::vector<double> x(static_cast<size_t>(d)), n(static_cast<size_t>(d));
  std::vector<double> h(static_cast<size_t>(f));
  for (int64_t row = 0; row < args.rows; ++row) {
    x.assign(args.x + row * d, args.x + (row + 1) * d);
    n = x;
    if (w.norm != nullptr) {
      double squares = 0;
      for (double v : x) squares += v * v;
      const double root = std::sqrt(squares / static_cast<double>(d) + static_cast<double>(w.eps));
      for (size_t i = 0; i < n.size(); ++i) n[i] = x[i] / root * static_cast<double>(w.norm[i]);
    }
    for (int64_t j = 0; j < f; ++j) {
      h[static_cast<size_t>(j)] =
          ReferenceGated(w.activation, Dot(w.gate_up, j, n), Dot(w.gate_up, f + j, n));
    }
    for (int64_t j = 0; j < o; ++j) {
      const double residual = w.residual ? x[static_cast<size_t>(j)] : 0;
      args.y[row * o + j] = static_cast<float>(Dot(w.down, j, h) + residual);
    }
  }
  return status;
}

}  // namespace penstock::kernels
