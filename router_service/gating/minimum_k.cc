#include "router_service/gating/minimum_k.h"

#include <algorithm>
#include <functional>

namespace penstock::router {

size_t MinimumK(absl::Span<const size_t> cell_sizes, size_t distinct_active) {
  std::vector<size_t> sizes(cell_sizes.begin(), cell_sizes.end());
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  size_t sum = 0;
  for (size_t i = 0; i < std::min(distinct_active, sizes.size()); ++i) sum += sizes[i];
  return sum;
}

std::vector<size_t> BehaviourCells(size_t experts, absl::Span<const double> agreement,
                                   double threshold) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  std::vector<size_t> cell(experts, kNone);
  size_t cells = 0;
  std::vector<size_t> reached;
  for (size_t first = 0; first < experts; ++first) {
    if (cell[first] != kNone) continue;
    cell[first] = cells;
    reached.assign(1, first);
    while (!reached.empty()) {
      const size_t from = reached.back();
      reached.pop_back();
      for (size_t to = 0; to < experts; ++to) {
        if (cell[to] != kNone || !(agreement[from * experts + to] > threshold)) continue;
        cell[to] = cells;
        reached.push_back(to);
      }
    }
    ++cells;
  }
  return cell;
}

}  // namespace penstock::router
