#include <cmath>

#include "kernels/value_mix/value_mix.h"

namespace penstock::kernels {

Status ValueMixReference(const ValueMixArgs& args) {
  const Status status = CheckValueMix(args);
  if (!status.ok()) return status;
  const int64_t width = args.heads * args.head_dim;
  const auto gate = [&](int64_t t, int64_t head, int64_t m) {
    const float z = args.gates[(t * args.heads + head) * (args.slots + 1) + m];
    return 2 / (1 + std::exp(-static_cast<double>(z)));
  };
  for (int64_t t = 0; t < args.rows; ++t) {
    for (int64_t c = 0; c < width; ++c) {
      const int64_t head = c / args.head_dim;
      double v = gate(t, head, 0) * static_cast<double>(args.v[t * width + c]);
      for (int64_t m = 0; m < args.slots; ++m) {
        const float e = args.bank[(args.token[t] * args.slots + m) * width + c];
        v += gate(t, head, m + 1) * static_cast<double>(e);
      }
      args.v[t * width + c] = static_cast<float>(v);
    }
  }
  return status;
}

}  // namespace penstock::kernels
