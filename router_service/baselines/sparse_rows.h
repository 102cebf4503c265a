#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// A sparse matrix by rows: what the text of a request looks like to a hashed model.
struct SparseRows {
  size_t columns = 0;
  std::vector<size_t> begin = {0};  // [rows + 1]
  std::vector<uint32_t> column;     // rising within a row
  std::vector<float> value;

  size_t rows() const { return begin.size() - 1; }
  absl::Span<const uint32_t> Columns(size_t row) const {
    return absl::MakeConstSpan(column).subspan(begin[row], begin[row + 1] - begin[row]);
  }
  absl::Span<const float> Values(size_t row) const {
    return absl::MakeConstSpan(value).subspan(begin[row], begin[row + 1] - begin[row]);
  }
};

// The rows `taken`, in that order.
inline SparseRows TakeRows(const SparseRows& x, absl::Span<const size_t> taken) {
  SparseRows out;
  out.columns = x.columns;
  for (const size_t row : taken) {
    out.column.insert(out.column.end(), x.Columns(row).begin(), x.Columns(row).end());
    out.value.insert(out.value.end(), x.Values(row).begin(), x.Values(row).end());
    out.begin.push_back(out.value.size());
  }
  return out;
}

}  // namespace penstock::router
