#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/gating/sparse/gate_file.h"
#include "router_service/gating/sparse/sparse_gate.h"
#include "router_service/gating/weights/activation_weights.h"

namespace penstock::router {

// Logits (psi(W z + c) + b) / tau: Nguyen et al. 2024, arXiv:2401.13875, with c for the features'
// standardisation, which is folded into W and c. Tensors "linear" [n, d] and "linear_bias" [n] (W
// and c), "bias" [n] (b) and "tau" [1]; metadata "activation" is psi's name in the configuration.
class ActivationGate final : public SparseGate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::ActivationGate& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);

 private:
  ActivationGate(size_t experts, size_t dimension, size_t k, Activation activation, double tau)
      : SparseGate(experts, dimension, k), activation_(activation), tau_(tau) {}

  void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
            absl::Span<double> scores) const override;

  const Activation activation_;
  const double tau_;
  LinearHeads linear_;
  std::vector<float> bias_;      // [file's experts]
  std::vector<size_t> columns_;  // of the pool's experts in the file
};

}  // namespace penstock::router
