#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace penstock::expert {

// A way to store a matrix: what it takes and what it costs.
struct StorageChoice {
  int64_t bytes = 0;
  double error = 0;  // >= 0; adds up over matrices
};

// One choice a matrix, so that their bytes sum to `budget` at most and their errors to as little as
// can be: the multiple-choice knapsack (Kellerer, Pferschy and Pisinger 2004, chapter 11), by
// dynamic programming over the budget in kAllocationCells steps, sizes rounded up to a step, and
// then by single changes that fit into what the rounding left. Where the budget has at most so many
// bytes it is exact. Unset where even the smallest choices do not fit. Ties go to the earlier
// choice.
inline constexpr int64_t kAllocationCells = 20000;
std::optional<std::vector<size_t>> AllocateBits(
    const std::vector<std::vector<StorageChoice>>& choices, int64_t budget);

}  // namespace penstock::expert
