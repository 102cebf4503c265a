#include <cmath>
#include <vector>

#include "kernels/lora_mix/lora_mix.h"

namespace penstock::kernels {

// Allocates, unlike the entries that serve.
Status LoraMixReference(const LoraMixArgs& args) {
  const Status status = CheckLoraMix(args);
  const LoraBank& bank = args.bank;
  if (!status.ok() || bank.count == 0) return status;
  const int64_t in = bank.down.in, out = bank.up.out;
  for (int64_t t = 0; t < args.rows && out > 0; ++t) {
    std::vector<double> sum(static_cast<size_t>(out), 0);
    bool any = false;
    for (int64_t a = 0; a < bank.count; ++a) {
      const float lambda = args.lambda[t * bank.count + a];
      if (std::isnan(lambda) && args.nan_lambdas != nullptr) ++*args.nan_lambdas;
      if (std::isnan(lambda) || lambda == 0) continue;
      any = true;
      const double weight = static_cast<double>(args.gain) * static_cast<double>(lambda) *
                            static_cast<double>(bank.scale[a]);
      for (int64_t r = a > 0 ? bank.end[a - 1] : 0; r < bank.end[a]; ++r) {
        double u = 0;
        for (int64_t k = 0; k < in; ++k) {
          u += PanelWeight(bank.down, r, k) * static_cast<double>(args.x[t * in + k]);
        }
        for (int64_t n = 0; n < out; ++n) {
          sum[static_cast<size_t>(n)] += weight * u * PanelWeight(bank.up, n, r);
        }
      }
    }
    for (int64_t n = 0; any && n < out; ++n) {
      float* y = args.y + t * out + n;
      *y = static_cast<float>(static_cast<double>(*y) + sum[static_cast<size_t>(n)]);
    }
  }
  return status;
}

}  // namespace penstock::kernels
