#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/exit_gate/exit_gate.h"

namespace penstock::kernels {
namespace {

double Entropy(const std::vector<double>& p) {
  double entropy = 0;
  for (double v : p) {
    if (v > 0) entropy -= v * std::log(v);
  }
  return entropy;
}

void Normalise(std::vector<double>* p) {
  double sum = 0;
  for (double v : *p) sum += v;
  for (double& v : *p) v /= sum;
}

// Empty where there is no distribution.
std::vector<double> Features(const float* logits, int64_t classes) {
  std::vector<double> p(logits, logits + classes);
  for (double& z : p) {
    if (std::isnan(z)) return {};
    z = std::min(z, static_cast<double>(std::numeric_limits<float>::max()));
  }
  const double most = *std::max_element(p.begin(), p.end());
  if (std::isinf(most)) return {};
  for (double& z : p) z = std::exp(z - most);
  Normalise(&p);
  std::sort(p.begin(), p.end(), std::greater<>());
  std::vector<double> squares = p;
  for (double& v : squares) v *= v;
  Normalise(&squares);
  return {p[0], Entropy(p), p[0] - (p.size() > 1 ? p[1] : 0), Entropy(squares)};
}

}  // namespace

// Allocates, unlike the entries that serve.
Status ExitGateReference(const ExitGateArgs& args) {
  const Status status = CheckExitGate(args);
  if (!status.ok()) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    const std::vector<double> u = Features(args.logits + t * args.classes, args.classes);
    double z = static_cast<double>(args.b);
    for (size_t i = 0; i < u.size(); ++i) z += static_cast<double>(args.w[i]) * u[i];
    for (int64_t i = 0; args.features != nullptr && i < kExitFeatures; ++i) {
      args.features[t * kExitFeatures + i] =
          u.empty() ? 0 : static_cast<float>(u[static_cast<size_t>(i)]);
    }
    const double gate = u.empty() ? 0 : 1 / (1 + std::exp(-z));
    args.gate[t] = static_cast<float>(gate);
    args.exit[t] = !u.empty() && gate >= static_cast<double>(args.threshold) ? 1 : 0;
  }
  return status;
}

}  // namespace penstock::kernels
