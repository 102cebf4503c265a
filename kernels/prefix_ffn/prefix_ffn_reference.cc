#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/prefix_ffn/prefix_ffn.h"

namespace penstock::kernels {
namespace {

std::vector<double> Apply(const LinearWeights& w, const std::vector<double>& x) {
  std::vector<double> y(static_cast<size_t>(w.out));
  for (int64_t n = 0; n < w.out; ++n) {
    double sum = w.bias != nullptr ? static_cast<double>(w.bias[n]) : 0;
    for (int64_t k = 0; k < w.in; ++k) sum += x[static_cast<size_t>(k)] * PanelWeight(w, n, k);
    y[static_cast<size_t>(n)] = sum;
  }
  return y;
}

double Activate(PrefixActivation activation, double z) {
  switch (activation) {
    case PrefixActivation::kRelu:
      return z < 0 ? 0 : z;
    case PrefixActivation::kSilu:
      return z / (1 + std::exp(-z));
    case PrefixActivation::kGeluTanh:
      return z / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
    case PrefixActivation::kGeluErf:
      return z / 2 * std::erfc(-z / std::sqrt(2.0));
  }
  return 0;
}

}  // namespace

// Allocates, unlike the entries that serve.
Status PrefixFfnReference(const PrefixFfnArgs& args) {
  const Status status = CheckPrefixFfn(args);
  if (!status.ok() || args.w.o == 0) return status;
  const PrefixFfnWeights& w = args.w;
  for (int64_t t = 0; t < args.rows; ++t) {
    const std::vector<double> x(args.x + t * w.d, args.x + (t + 1) * w.d);
    std::vector<double> y(static_cast<size_t>(w.o), 0);
    if (w.base != nullptr) y.assign(w.base, w.base + w.o);
    const int64_t width = std::clamp<int64_t>(args.width[t], 0, w.count);
    for (int64_t i = 0; i < width; ++i) {
      std::vector<double> h = Apply(w.learners[i].in, x);
      for (double& z : h) z = Activate(w.activation, z);
      const std::vector<double> s = Apply(w.learners[i].out, h);
      for (size_t j = 0; j < y.size(); ++j) y[j] += s[j];
    }
    for (size_t j = 0; j < y.size(); ++j) {
      args.y[t * w.o + static_cast<int64_t>(j)] = static_cast<float>(y[j]);
    }
    if (args.learners_run != nullptr) *args.learners_run += width;
  }
  return status;
}

}  // namespace penstock::kernels
