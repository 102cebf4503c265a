#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

inline constexpr int64_t kExitFeatures = 4;

// Whether a row may leave the network at this head (JEI-DNN, arXiv:2310.09163): with p the softmax
// of the head's logits and H the entropy in nats,
//   u = [max p, H(p), largest p - second largest p, H(p^2 / sum p^2)]
//   gate = 1 / (1 + exp(-(w . u + b))), exit where gate >= threshold.
// Logits of +inf become the largest finite float; of one class the second largest p is 0. A row
// with NaN, or without a logit above -inf, has no distribution: it never leaves, its gate is 0.
struct ExitGateArgs {
  int64_t rows = 0;
  int64_t classes = 0;            // at least 1
  const float* logits = nullptr;  // [rows, classes]
  float w[kExitFeatures] = {};
  float b = 0;
  float threshold = 0.5f;
  float* gate = nullptr;      // out [rows]
  uint8_t* exit = nullptr;    // out [rows], 1 = leaves here
  float* features = nullptr;  // out [rows, 4], 0 where there is no distribution; or null
};

struct ExitGateImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const ExitGateArgs&);
};

std::span<const ExitGateImpl> ExitGateImpls();
Status ExitGate(const ExitGateArgs& args);
Cost ExitGateCost(int64_t rows, int64_t classes);
Status CheckExitGate(const ExitGateArgs& args);

Status ExitGateReference(const ExitGateArgs& args);
Status ExitGateAvx2(const ExitGateArgs& args);
Status ExitGateAvx512(const ExitGateArgs& args);

}  // namespace penstock::kernels
