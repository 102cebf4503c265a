#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "router_service/learning/outcome_table.h"

namespace penstock::router {

// Which rows only measure, and the fold of each of the others. Decided by (seed, id): rows of one
// id are never on both sides, and a row keeps its place when lines are added.
struct TableSplit {
  std::vector<size_t> train, heldout;
  std::vector<int> fold;  // of each of `train`
};
TableSplit SplitTable(const OutcomeTable& table, double heldout_share, int folds, uint64_t seed);

}  // namespace penstock::router
