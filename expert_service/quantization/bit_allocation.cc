#include "expert_service/quantization/bit_allocation.h"

#include <algorithm>
#include <limits>

namespace penstock::expert {
namespace {

constexpr double kUnreached = std::numeric_limits<double>::infinity();

// The one change of one matrix that takes off most error and fits into `left` bytes more.
bool Improve(const std::vector<std::vector<StorageChoice>>& choices, std::vector<size_t>& chosen,
             int64_t& left) {
  size_t matrix = choices.size(), choice = 0;
  double gain = 0;
  for (size_t m = 0; m < choices.size(); ++m) {
    const StorageChoice& now = choices[m][chosen[m]];
    for (size_t c = 0; c < choices[m].size(); ++c) {
      const StorageChoice& other = choices[m][c];
      if (other.bytes - now.bytes <= left && now.error - other.error > gain) {
        gain = now.error - other.error;
        matrix = m;
        choice = c;
      }
    }
  }
  if (matrix == choices.size()) return false;
  left -= choices[matrix][choice].bytes - choices[matrix][chosen[matrix]].bytes;
  chosen[matrix] = choice;
  return true;
}

}  // namespace

std::optional<std::vector<size_t>> AllocateBits(
    const std::vector<std::vector<StorageChoice>>& choices, int64_t budget) {
  // What every matrix takes at least is set aside; the steps divide the rest.
  std::vector<size_t> chosen(choices.size(), 0);
  int64_t rest = budget;
  for (size_t m = 0; m < choices.size(); ++m) {
    for (size_t c = 1; c < choices[m].size(); ++c) {
      if (choices[m][c].bytes < choices[m][chosen[m]].bytes) chosen[m] = c;
    }
    rest -= choices[m][chosen[m]].bytes;
  }
  if (rest < 0) return std::nullopt;
  const int64_t step = std::max<int64_t>(1, (rest + kAllocationCells - 1) / kAllocationCells);
  const auto cells = static_cast<size_t>(rest / step) + 1;
  // best[c]: the least error of the matrices so far with c steps beyond their smallest.
  std::vector<double> best(cells, 0.0), next(cells);
  std::vector<std::vector<uint8_t>> taken(choices.size(), std::vector<uint8_t>(cells));
  for (size_t m = 0; m < choices.size(); ++m) {
    std::fill(next.begin(), next.end(), kUnreached);
    const int64_t least = choices[m][chosen[m]].bytes;
    for (size_t c = 0; c < choices[m].size(); ++c) {
      const auto steps = static_cast<size_t>((choices[m][c].bytes - least + step - 1) / step);
      for (size_t cell = steps; cell < cells; ++cell) {
        const double error = best[cell - steps] + choices[m][c].error;
        if (error < next[cell]) {
          next[cell] = error;
          taken[m][cell] = static_cast<uint8_t>(c);
        }
      }
    }
    best.swap(next);
  }
  size_t cell = cells - 1;
  int64_t left = budget;
  for (size_t m = choices.size(); m-- > 0;) {
    const int64_t least = choices[m][chosen[m]].bytes;
    chosen[m] = taken[m][cell];
    const int64_t bytes = choices[m][chosen[m]].bytes;
    cell -= static_cast<size_t>((bytes - least + step - 1) / step);
    left -= bytes;
  }
  while (Improve(choices, chosen, left)) {
  }
  return chosen;
}

}  // namespace penstock::expert
