#include "kernels/linear_attention/hgrn2_gates.h"

#include <cmath>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

double LogSigmoid(double z) { return (z < 0 ? z : 0) - std::log1p(std::exp(-std::abs(z))); }

// log(exp(a) + exp(b)); NaN where either is. a is never NaN and never +inf.
double LogAddExp(double a, double b) {
  const double high = a > b ? a : b, low = a > b ? b : a;
  return high == kNothing ? kNothing : high + std::log1p(std::exp(low - high));
}

}  // namespace

Status Hgrn2Gates(const Hgrn2GatesArgs& args) {
  if (args.tokens < 0 || args.channels < 0) {
    return {Code::kInvalidArgument, "hgrn2_gates: negative size"};
  }
  if (args.tokens == 0 || args.channels == 0) return {};
  if (args.z == nullptr || args.g == nullptr || args.k == nullptr) {
    return {Code::kInvalidArgument, "hgrn2_gates: null operand"};
  }
  for (int64_t c = 0; c < args.channels; ++c) {
    const float bound = args.lower_bound != nullptr ? args.lower_bound[c] : 0.0f;
    if (!(bound >= 0 && bound <= 1)) {
      return {Code::kInvalidArgument, "hgrn2_gates: lower bound outside [0, 1]"};
    }
  }
  for (int64_t c = 0; c < args.channels; ++c) {
    const double bound =
        args.lower_bound != nullptr ? static_cast<double>(args.lower_bound[c]) : 0.0;
    const double log_bound = std::log(bound), log_rest = std::log1p(-bound);
    for (int64_t i = c; i < args.tokens * args.channels; i += args.channels) {
      const double z = static_cast<double>(args.z[i]);
      const double key = (1 - bound) / (1 + std::exp(z));
      const double g =
          key <= 0.5 ? std::log1p(-key) : LogAddExp(log_bound, log_rest + LogSigmoid(z));
      args.g[i] = static_cast<float>(g);
      args.k[i] = static_cast<float>(key);
    }
  }
  return {};
}

}  // namespace penstock::kernels
