#pragma once

#include <cmath>
#include <cstddef>

#include "absl/container/inlined_vector.h"
#include "router_service/gating/weights/smooth_step.h"

namespace penstock::router {

// Visits the leaves of a binary tree that a request reaches, from the left, and evaluates only the
// nodes on their paths. Heap layout: inner nodes 0 to leaves - 2, leaves behind them, children of v
// at 2v + 1 (left) and 2v + 2; leaf i is node leaves - 1 + i.
//
// node_score(v) is the score t of inner node v, which goes left with probability S(t) and right
// with 1 - S(t). open(v) is false where nothing below node v may be reached; if only the way of
// probability 0 is open, that one is taken, at no loss of probability. leaf(i, log_probability) is
// told of every leaf that is reached, the logarithm finite.
template <class NodeScore, class Open, class Leaf>
void DescendTree(size_t leaves, double width, const NodeScore& node_score, const Open& open,
                 const Leaf& leaf) {
  struct Place {
    size_t node;
    double log_probability;
  };
  absl::InlinedVector<Place, 32> stack;
  if (open(0)) stack.push_back({0, 0});
  while (!stack.empty()) {
    const Place at = stack.back();
    stack.pop_back();
    if (at.node >= leaves - 1) {
      leaf(at.node - (leaves - 1), at.log_probability);
      continue;
    }
    const size_t left = 2 * at.node + 1, right = left + 1;
    const double go_left = SmoothStep(node_score(at.node), width);
    const bool left_open = open(left), right_open = open(right);
    const bool to_left = left_open && go_left > 0, to_right = right_open && go_left < 1;
    if (to_right) stack.push_back({right, at.log_probability + std::log1p(-go_left)});
    if (to_left) stack.push_back({left, at.log_probability + std::log(go_left)});
    if (to_left || to_right) continue;
    if (left_open) stack.push_back({left, at.log_probability});
    if (right_open) stack.push_back({right, at.log_probability});
  }
}

}  // namespace penstock::router
