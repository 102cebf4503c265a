#include "router_service/baselines/early_stopping.h"

#include "common/random.h"

namespace penstock::router {

HeldBackRows::HeldBackRows(absl::Span<const uint32_t> group, uint64_t seed) : seed(seed) {
  for (size_t row = 0; row < group.size(); ++row) {
    (CounterRandom(seed, group[row]).Below(10) == 0 ? held : learn).push_back(row);
  }
}

std::vector<size_t> HeldBackRows::Shuffled(int epoch) const {
  std::vector<size_t> rows = learn;
  CounterRandom random(seed, 0x5EED0000u + static_cast<uint64_t>(epoch));
  for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.Below(i)]);
  return rows;
}

}  // namespace penstock::router
