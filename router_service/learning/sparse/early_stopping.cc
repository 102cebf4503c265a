#include "router_service/learning/sparse/early_stopping.h"

#include <algorithm>

#include "common/random.h"

namespace penstock::router {

HeldBackRows::HeldBackRows(absl::Span<const uint32_t> group, uint64_t seed) : seed(seed) {
  for (size_t row = 0; row < group.size(); ++row) {
    (CounterRandom(seed, group[row]).Below(10) == 0 ? held : learn).push_back(row);
  }
  if (group.empty() || (!held.empty() && !learn.empty())) return;
  // The draw left one side empty: the least group goes to it, unless it is all there is.
  const uint32_t least = *std::min_element(group.begin(), group.end());
  learn.clear();
  held.clear();
  for (size_t row = 0; row < group.size(); ++row) {
    (group[row] == least ? held : learn).push_back(row);
  }
  if (learn.empty()) learn.swap(held);
}

std::vector<size_t> HeldBackRows::Shuffled(int epoch) const {
  std::vector<size_t> rows = learn;
  CounterRandom random(seed, 0x5EED0000u + static_cast<uint64_t>(epoch));
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.Below(i)]);
  return rows;
}

}  // namespace penstock::router
