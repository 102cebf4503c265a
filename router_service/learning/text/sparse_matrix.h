#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Rows of a sparse matrix, one after the other.
struct SparseMatrix {
  size_t columns = 0;
  std::vector<size_t> begin = {0};
  std::vector<uint32_t> indices;  // of a row: strictly ascending
  std::vector<float> values;

  size_t rows() const { return begin.size() - 1; }
  void Add(absl::Span<const uint32_t> at, absl::Span<const float> value);
  absl::Span<const uint32_t> IndicesOf(size_t row) const;
  absl::Span<const float> ValuesOf(size_t row) const;
};

// ln((1 + n) / (1 + rows that have it)) + 1 of each column, over the rows `taken`: a column that no
// row has weighs as one of a row more than there are.
std::vector<float> InverseDocumentFrequency(const SparseMatrix& x, absl::Span<const size_t> taken);

// The rows `taken`, each entry times its column's weight, then each row scaled to length 1 (an
// empty row stays empty).
SparseMatrix WeightedRows(const SparseMatrix& x, absl::Span<const size_t> taken,
                        absl::Span<const float> weight);

}  // namespace penstock::router
