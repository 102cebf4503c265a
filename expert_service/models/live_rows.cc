#include "expert_service/models/live_rows.h"

#include <algorithm>
#include <numeric>

#include "common/status_macros.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/compact_rows/compact_rows.h"

namespace penstock::expert {

absl::StatusOr<int64_t> LiveRows::End(const Value& answers, const uint8_t* leaves,
                                      absl::Span<Value* const> values) {
  const int64_t rows = answers.shape.rows, dim = answers.shape.dim;
  const int64_t left = rows - std::count(leaves, leaves + rows, uint8_t{0});
  if (left == 0) return left;
  if (index_ == nullptr) {
    // Behind the index, room for what compact_rows tells and is told.
    const size_t bytes = static_cast<size_t>(rows) * (2 * sizeof(int32_t) + sizeof(uint8_t));
    answers_ = answers;
    answers_.data = arena_.Take(Arena::kAnswers, answers.shape.bytes());
    index_ = static_cast<int32_t*>(arena_.Take(Arena::kRows, bytes));
    std::iota(index_, index_ + rows, 0);
  }
  int32_t* kept = index_ + answers_.shape.rows;
  uint8_t* keep = reinterpret_cast<uint8_t*>(kept + answers_.shape.rows);
  for (int64_t j = 0; j < rows; ++j) {
    keep[j] = leaves[j] == 0;
    if (keep[j]) continue;
    std::copy_n(answers.floats() + j * dim, dim, answers_.floats() + index_[j] * dim);
  }
  for (Value* value : values) {
    int64_t count = 0;
    kernels::CompactRowsArgs args;
    args.rows = rows;
    args.dim = value->shape.elements() / rows;
    args.x = args.y = value->floats();
    args.keep = keep;
    args.index = kept;
    args.kept = &count;
    PENSTOCK_RETURN_IF_ERROR(FromKernel("compact_rows", kernels::CompactRows(args)));
    value->shape.rows = count;
  }
  int64_t count = 0;
  for (int64_t j = 0; j < rows; ++j) {
    if (keep[j] != 0) index_[count++] = index_[j];
  }
  return left;
}

absl::StatusOr<Value> LiveRows::Join(const Value& last) {
  kernels::RestoreRowsArgs args;
  args.rows = answers_.shape.rows;
  args.kept = last.shape.rows;
  args.dim = last.shape.dim;
  args.x = last.floats();
  args.index = index_;
  args.y = answers_.floats();
  PENSTOCK_RETURN_IF_ERROR(FromKernel("restore_rows", kernels::RestoreRows(args)));
  index_ = nullptr;
  return answers_;
}

}  // namespace penstock::expert
