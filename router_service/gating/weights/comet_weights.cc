#include "router_service/gating/weights/comet_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "router_service/gating/weights/smooth_step.h"
#include "router_service/gating/weights/softmax.h"

namespace penstock::router {
namespace {

constexpr double kTiny = 1e-6;  // keeps the entropy's logarithm finite

}  // namespace

std::vector<size_t> LeavesInOrder(size_t experts, size_t trees) {
  std::vector<size_t> leaves(experts * trees);
  for (size_t at = 0; at < leaves.size(); ++at) leaves[at] = at % experts;
  return leaves;
}

CometWeights::CometWeights(CometOptions options) : options_(std::move(options)) {}

// Probability of reaching each node [2 experts - 1], in heap order.
std::vector<double> CometWeights::Reach(absl::Span<const double> nodes) const {
  std::vector<double> reach(TreeHeads(), 1.0);
  for (size_t v = 0; v < nodes.size(); ++v) {
    const double left = SmoothStep(nodes[v], options_.width);
    reach[2 * v + 1] = reach[v] * left;
    reach[2 * v + 2] = reach[v] * (1 - left);
  }
  return reach;
}

std::vector<double> CometWeights::PathProbabilities(absl::Span<const double> nodes) const {
  const std::vector<double> reach = Reach(nodes);
  return {reach.begin() + static_cast<std::ptrdiff_t>(nodes.size()), reach.end()};
}

std::vector<double> CometWeights::LeafWeights(absl::Span<const double> heads) const {
  const size_t n = options_.experts;
  std::vector<double> score(options_.trees * n), weights(score.size());
  for (size_t s = 0; s < options_.trees; ++s) {
    const absl::Span<const double> tree = heads.subspan(s * TreeHeads(), TreeHeads());
    const std::vector<double> path = PathProbabilities(tree.first(n - 1));
    for (size_t i = 0; i < n; ++i) {
      score[s * n + i] = path[i] > 0 ? tree[n - 1 + i] + std::log(path[i])
                                     : -std::numeric_limits<double>::infinity();
    }
  }
  Softmax(score, absl::MakeSpan(weights));
  return weights;
}

void CometWeights::Forward(absl::Span<const double> heads, absl::Span<const double> scalars,
                           absl::Span<double> weights) const {
  static_cast<void>(scalars);
  const std::vector<double> leaf = LeafWeights(heads);
  std::fill(weights.begin(), weights.end(), 0.0);
  for (size_t at = 0; at < leaf.size(); ++at) weights[options_.leaf_expert[at]] += leaf[at];
}

void CometWeights::AddPathGradient(absl::Span<const double> nodes,
                                   absl::Span<const double> leaf_gradient,
                                   absl::Span<double> node_gradient) const {
  const std::vector<double> reach = Reach(nodes);
  std::vector<double> below(nodes.size(), 0.0);  // of the loss by the probability of reaching it
  below.insert(below.end(), leaf_gradient.begin(), leaf_gradient.end());
  for (size_t v = nodes.size(); v-- > 0;) {
    const double left = SmoothStep(nodes[v], options_.width);
    below[v] = left * below[2 * v + 1] + (1 - left) * below[2 * v + 2];
    node_gradient[v] += SmoothStepSlope(nodes[v], options_.width) * reach[v] *
                        (below[2 * v + 1] - below[2 * v + 2]);
  }
}

void CometWeights::Backward(absl::Span<const double> heads, absl::Span<const double> scalars,
                            absl::Span<const double> weight_gradient,
                            absl::Span<double> head_gradient,
                            absl::Span<double> scalar_gradient) const {
  static_cast<void>(scalars);
  static_cast<void>(scalar_gradient);
  const size_t n = options_.experts;
  const std::vector<double> leaf = LeafWeights(heads);
  double mean = 0;
  for (size_t at = 0; at < leaf.size(); ++at) {
    mean += leaf[at] * weight_gradient[options_.leaf_expert[at]];
  }
  std::vector<double> by_path(n);
  for (size_t s = 0; s < options_.trees; ++s) {
    const absl::Span<const double> nodes = heads.subspan(s * TreeHeads(), n - 1);
    const std::vector<double> path = PathProbabilities(nodes);
    for (size_t i = 0; i < n; ++i) {
      const double by_score =
          leaf[s * n + i] * (weight_gradient[options_.leaf_expert[s * n + i]] - mean);
      head_gradient[s * TreeHeads() + n - 1 + i] += by_score;
      // A leaf that is not reached has a node without slope on its path, so that its share is 0.
      by_path[i] = path[i] > 0 ? by_score / path[i] : 0;
    }
    AddPathGradient(nodes, by_path, head_gradient.subspan(s * TreeHeads(), n - 1));
  }
}

double CometWeights::Penalty(absl::Span<const double> heads,
                             absl::Span<double> head_gradient) const {
  const size_t n = options_.experts;
  double penalty = 0;
  std::vector<double> by_path(n);
  for (size_t s = 0; s < options_.trees && options_.entropy > 0; ++s) {
    const absl::Span<const double> nodes = heads.subspan(s * TreeHeads(), n - 1);
    const std::vector<double> path = PathProbabilities(nodes);
    for (size_t i = 0; i < n; ++i) {
      penalty -= options_.entropy * path[i] * std::log(path[i] + kTiny);
      by_path[i] = -options_.entropy * (std::log(path[i] + kTiny) + path[i] / (path[i] + kTiny));
    }
    AddPathGradient(nodes, by_path, head_gradient.subspan(s * TreeHeads(), n - 1));
  }
  return penalty;
}

}  // namespace penstock::router
