#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "expert_service/models/kernel_status.h"
#include "expert_service/models/value.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {

// What blocks over sequences share: each row one, of as many vectors as it has positions.

// y = W x over rows that stand one behind the other.
inline absl::Status Project(absl::string_view what, const kernels::PackedLinear& w, const float* x,
                            int64_t rows, float* y, kernels::Workspace scratch) {
  kernels::LinearArgs args;
  args.w = w.weights();
  args.rows = rows;
  args.x = x;
  args.y = y;
  args.workspace = scratch;
  return FromKernel(what, kernels::Linear(args));
}

// Rows that go through a block together: enough vectors that weights cost little, few enough that
// scratch stays small however large the batch.
inline int64_t RowsTogether(int64_t rows, int64_t positions) {
  constexpr int64_t kVectors = 192;
  return std::clamp<int64_t>(kVectors / std::max<int64_t>(positions, 1), 1,
                             std::max<int64_t>(rows, 1));
}

// run(x, rows, y) over groups of rows.
template <typename Run>
absl::Status RunInGroups(const Value& x, const Value& y, Run run) {
  const int64_t most = RowsTogether(x.shape.rows, x.shape.positions);
  const int64_t of_x = x.shape.positions * x.shape.dim;
  const int64_t of_y = y.shape.positions * y.shape.dim;
  for (int64_t row = 0; row < x.shape.rows; row += most) {
    const absl::Status status =
        run(x.floats() + row * of_x, std::min(most, x.shape.rows - row), y.floats() + row * of_y);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// run(offsets) for each row, a sequence whose heads begin with an empty state: `floats` of them.
template <typename Run>
absl::Status RunFromEmptyState(int64_t rows, int64_t positions, float* state, int64_t floats,
                               Run run) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t offsets[] = {row * positions, (row + 1) * positions};
    std::fill_n(state, floats, 0.0f);
    const absl::Status status = run(offsets);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace penstock::expert
