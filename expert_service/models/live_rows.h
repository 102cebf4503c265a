#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "expert_service/models/arena.h"
#include "expert_service/models/value.h"

namespace penstock::expert {

// Which rows of an execution still go from block to block. Those that ended at an exit wait with
// their answers until the others have theirs.
class LiveRows {
 public:
  explicit LiveRows(Arena& arena) : arena_(arena) {}

  // Row j of those that go on is this one of all.
  int64_t row(int64_t j) const { return index_ == nullptr ? j : index_[j]; }
  bool some_ended() const { return index_ != nullptr; }

  // Rows j of leaves[j] != 0 end here, with row j of `answers`; `values`, of as many rows, lose
  // them. Gives how many. `answers` are as wide every time.
  absl::StatusOr<int64_t> End(const Value& answers, const uint8_t* leaves,
                              absl::Span<Value* const> values);
  // The answers of all rows in their order: `last` of those that went on. From here all go on.
  absl::StatusOr<Value> Join(const Value& last);

 private:
  Arena& arena_;
  Value answers_;             // of all rows; written where a row ended
  int32_t* index_ = nullptr;  // [rows that go on], rising; null: all do
};

}  // namespace penstock::expert
