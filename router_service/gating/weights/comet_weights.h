#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/weights/gate_weights.h"

namespace penstock::router {

struct CometOptions {
  size_t experts = 1;
  size_t trees = 1;
  double width = 1;    // of the smooth step
  double entropy = 0;  // weight of the entropy of each tree over its leaves
  // Expert of each leaf [trees, experts], a permutation per tree.
  std::vector<size_t> leaf_expert;
};

// Leaf i of a tree at expert i, for every tree.
std::vector<size_t> LeavesInOrder(size_t experts, size_t trees);

// COMET, Ibrahim et al. 2023, arXiv:2306.02824: leaf i of tree s is reached with the product P_s(i)
// of the smooth steps on its path and weighs P_s(i) exp(score) in a softmax over the leaves of all
// trees; an expert has the sum of its leaves. All leaves are evaluated; DescendTree is the same
// lazily. Heads of tree s: node scores [experts - 1], then leaf scores [experts].
class CometWeights final : public GateWeights {
 public:
  explicit CometWeights(CometOptions options);

  size_t experts() const override { return options_.experts; }
  size_t heads() const override { return options_.trees * TreeHeads(); }
  void Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
               absl::Span<double> weights) const override;
  void Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                absl::Span<const double> weight_gradient, absl::Span<double> head_gradient,
                absl::Span<double> scalar_gradient) const override;
  double Penalty(absl::Span<const double> heads, absl::Span<double> head_gradient) const override;

  // Heads of one tree.
  size_t TreeHeads() const { return 2 * options_.experts - 1; }
  // P of one tree's leaves [experts], of sum 1; `nodes` [experts - 1].
  std::vector<double> PathProbabilities(absl::Span<const double> nodes) const;
  const CometOptions& options() const { return options_; }

 private:
  std::vector<double> Reach(absl::Span<const double> nodes) const;
  // Adds to node_gradient that of a loss whose gradient by the leaves' P is `leaf_gradient`.
  void AddPathGradient(absl::Span<const double> nodes, absl::Span<const double> leaf_gradient,
                       absl::Span<double> node_gradient) const;
  // Weight of each leaf [trees, experts].
  std::vector<double> LeafWeights(absl::Span<const double> heads) const;

  const CometOptions options_;
};

}  // namespace penstock::router
