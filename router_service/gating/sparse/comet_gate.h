#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/gating/sparse/gate_file.h"
#include "router_service/gating/sparse/sparse_gate.h"

namespace penstock::router {

// COMET as it is served (Ibrahim et al. 2023, arXiv:2306.02824): only nodes on the paths that a
// request takes are evaluated, O(k d log n) for trained trees, with the same weights as all of them
// would give. Where no admissible expert is reached, a node whose way leads to none is passed on
// the other side. Tensors "nodes" [k, n - 1, d], "leaves" [k, n, d], their biases, "leaf_expert"
// [k, n] (the expert's place in the file) and "width" [1] of the smooth step.
class CometGate final : public SparseGate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::Comet& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);

 private:
  CometGate(size_t experts, size_t dimension, size_t k) : SparseGate(experts, dimension, k) {}

  void Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
            absl::Span<double> scores) const override;
  // One tree; `detour`: dead ends are avoided. True where an admissible expert was reached.
  bool Descend(size_t tree, bool detour, absl::Span<const float> z,
               absl::Span<const uint8_t> admissible, absl::Span<double> scores) const;
  // Pool's expert at a leaf, kNobody where none that is admissible.
  size_t ExpertAt(size_t tree, size_t leaf, absl::Span<const uint8_t> admissible) const;

  size_t trees_ = 0, leaves_ = 0;
  double width_ = 1;
  LinearHeads nodes_, scores_;
  std::vector<size_t> leaf_expert_;  // [trees, leaves], the pool's, kNobody where it has none
};

}  // namespace penstock::router
