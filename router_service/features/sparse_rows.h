#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// A sparse matrix by rows: what requests look like to a model of hashed text.
struct SparseRows {
  size_t columns = 0;
  std::vector<size_t> begin = {0};  // [rows + 1]
  std::vector<uint32_t> column;     // rising within a row
  std::vector<float> value;

  size_t rows() const { return begin.size() - 1; }
  void Add(absl::Span<const uint32_t> at, absl::Span<const float> of);
  absl::Span<const uint32_t> Columns(size_t row) const {
    return absl::MakeConstSpan(column).subspan(begin[row], begin[row + 1] - begin[row]);
  }
  absl::Span<const float> Values(size_t row) const {
    return absl::MakeConstSpan(value).subspan(begin[row], begin[row + 1] - begin[row]);
  }
};

// The rows `taken`, in that order.
SparseRows TakeRows(const SparseRows& x, absl::Span<const size_t> taken);

// ln((1 + n) / (1 + rows that have it)) + 1 of each column, over the rows `taken`: a column that no
// row has weighs as one of a row more than there are. Column j stands for bucket j >> shift.
std::vector<float> InverseDocumentFrequency(const SparseRows& x, absl::Span<const size_t> taken,
                                            uint32_t shift = 0);

}  // namespace penstock::router
