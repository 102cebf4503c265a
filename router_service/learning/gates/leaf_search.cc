#include "router_service/learning/gates/leaf_search.h"

#include <utility>

namespace penstock::router {

LeafSearch SearchLeaves(size_t experts, size_t swaps, CounterRandom& random,
                        const std::function<double(const std::vector<size_t>& leaf_expert)>& loss,
                        std::vector<size_t>& leaf_expert) {
  constexpr double kGain = 1e-6;
  LeafSearch search;
  search.loss = loss(leaf_expert);
  for (; experts > 1 && search.swaps < swaps; ++search.swaps) {
    const size_t first = random.Below(leaf_expert.size() / experts) * experts;
    const size_t a = random.Below(experts), other = random.Below(experts - 1);
    const size_t b = other < a ? other : other + 1;
    std::swap(leaf_expert[first + a], leaf_expert[first + b]);
    const double swapped = loss(leaf_expert);
    if (swapped < search.loss - kGain) {
      search.loss = swapped;
      ++search.accepted;
    } else {
      std::swap(leaf_expert[first + a], leaf_expert[first + b]);
    }
  }
  return search;
}

}  // namespace penstock::router
