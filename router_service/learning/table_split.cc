#include "router_service/learning/table_split.h"

#include "common/random.h"

namespace penstock::router {

TableSplit SplitTable(const OutcomeTable& table, double heldout_share, int folds, uint64_t seed) {
  TableSplit split;
  for (size_t row = 0; row < table.rows(); ++row) {
    uint64_t hash = 0xCBF29CE484222325ull;  // FNV-1a: the same on every platform
    for (const char c : table.ids[row]) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
    }
    CounterRandom random(seed, hash);
    if (random.Uniform() < heldout_share) {
      split.heldout.push_back(row);
    } else {
      split.train.push_back(row);
      split.fold.push_back(static_cast<int>(random.Below(static_cast<uint64_t>(folds))));
    }
  }
  return split;
}

}  // namespace penstock::router
