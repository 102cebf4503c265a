#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "common/random.h"

namespace penstock::router {

struct LeafSearch {
  size_t swaps = 0;     // tried
  size_t accepted = 0;  // of them
  double loss = 0;      // reached
};

// Escapes a bad placing of experts at the leaves of trees, where gradients see no way (the local
// search of Ibrahim et al. 2023, arXiv:2306.02824, as swaps): `swaps` times the experts of two
// leaves of one tree, drawn uniformly, change places, and stay so if `loss` of the placing falls by
// more than 1e-6. leaf_expert [trees, experts], a permutation per tree, and remains one. Nothing is
// tried where there is one expert.
LeafSearch SearchLeaves(size_t experts, size_t swaps, CounterRandom& random,
                        const std::function<double(const std::vector<size_t>& leaf_expert)>& loss,
                        std::vector<size_t>& leaf_expert);

}  // namespace penstock::router
