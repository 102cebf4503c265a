#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/gating/sparse/gate_file.h"
#include "router_service/gating/sparse/sparse_gate.h"

namespace penstock::router {

// The dense-to-sparse gate as it is served (Nie et al. 2021, arXiv:2112.14397): without noise, at
// the temperature that its schedule ended with, and with an active set instead of a fixed number of
// experts. Tensors "linear" [n, d], "linear_bias" [n], "tau" [1] and, for cost_aware, "cost" [n].
class DenseToSparseGate final : public SparseGate {
 public:
  static constexpr double kTheta = 0.001;

  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::DenseToSparse& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);

 private:
  DenseToSparseGate(size_t experts, size_t dimension, size_t k, double tau)
      : SparseGate(experts, dimension, k), tau_(tau) {}

  void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
            absl::Span<double> scores) const override;

  const double tau_;
  std::vector<double> thresholds_;  // [experts]
  LinearHeads linear_;
  std::vector<size_t> columns_;  // of the pool's experts in the file
};

}  // namespace penstock::router
