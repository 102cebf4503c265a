#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router_service/gating/sparse/gate_file.h"
#include "router_service/gating/sparse/sparse_gate.h"
#include "router_service/gating/weights/dselect_k_weights.h"

namespace penstock::router {

// DSelect-k as it is served (Hazimeh et al. 2021, arXiv:2106.03760): every selector names one
// admissible expert, the one that its bits say or the most probable there is, and weighs what its
// softmax gives it; at most k experts have weight. The number of an expert is its place in the
// file: tensors "bits" [k, m, d], "selectors" [k, d], their biases, and "width" [1] of the smooth
// step.
class DselectKGate final : public SparseGate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::DselectK& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);

 private:
  DselectKGate(const DselectKOptions& options, std::vector<size_t> codes, size_t dimension,
               size_t k)
      : SparseGate(codes.size(), dimension, k),
        selectors_(options.selectors),
        weights_(options),
        codes_(std::move(codes)) {}

  void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
            absl::Span<double> scores) const override;

  const size_t selectors_;
  const DselectKWeights weights_;
  const std::vector<size_t> codes_;  // of the pool's experts
  LinearHeads bits_, mix_;
};

}  // namespace penstock::router
