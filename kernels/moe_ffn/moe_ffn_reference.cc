#include <cmath>
#include <vector>

#include "kernels/gated_mlp/reference_activation.h"
#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {
namespace {

double Dot(const LinearWeights& w, int64_t n, const std::vector<double>& x) {
  double sum = 0;
  for (int64_t k = 0; k < w.in; ++k) sum += x[static_cast<size_t>(k)] * PanelWeight(w, n, k);
  return sum;
}

int64_t ExpertOf(const PlanView& plan, int64_t grouped_row) {
  int64_t e = 0;
  while (plan.offsets[e + 1] <= grouped_row) ++e;
  return e;
}

}  // namespace

// Pair by pair, not grouped. Allocates, unlike the entries that serve.
Status MoeFfnReference(const MoeFfnArgs& args) {
  const Status status = CheckMoeFfn(args);
  if (!status.ok()) return status;
  const MoeWeights& w = args.w;
  for (int64_t t = 0; t < args.rows; ++t) {
    const std::vector<double> x(args.x + t * w.d, args.x + (t + 1) * w.d);
    std::vector<double> y(static_cast<size_t>(w.o));
    for (int64_t pair = t * args.k; pair < (t + 1) * args.k; ++pair) {
      const int64_t at = args.plan.dst[pair];
      if (at < 0 || at >= args.plan.offsets[w.count]) continue;
      const GatedMlpWeights& expert = w.experts[ExpertOf(args.plan, at)];
      std::vector<double> h(static_cast<size_t>(w.f));
      for (int64_t j = 0; j < w.f; ++j) {
        h[static_cast<size_t>(j)] = ReferenceGated(
            expert.activation, Dot(expert.gate_up, j, x), Dot(expert.gate_up, w.f + j, x));
      }
      for (int64_t j = 0; j < w.o; ++j) {
        y[static_cast<size_t>(j)] +=
            static_cast<double>(args.weights[pair]) * Dot(expert.down, j, h);
      }
    }
    for (int64_t j = 0; j < w.o; ++j) {
      const double residual =
          args.residual != nullptr ? static_cast<double>(args.residual[t * w.o + j]) : 0;
      args.y[t * w.o + j] = static_cast<float>(y[static_cast<size_t>(j)] + residual);
    }
  }
  return status;
}

}  // namespace penstock::kernels
