#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// Ridge regression of many targets on the same sparse rows: for each target t, over the rows where
// it is known,
//   min_w  sum_i (y_it - mean_t - x_i w)^2 + lambda_t |w|^2,   mean_t = the mean of its known y,
// in the dual, (X X^T + lambda) a = y - mean, w = X^T a, by conjugate gradients (Hestenes and
// Stiefel 1952), all targets at once. Text has far more columns than rows, and most columns are in
// one row only: those only add to the diagonal of X X^T.
class SparseRidge {
 public:
  // What a column weighs in every target; columns that no row has are left out.
  struct Weights {
    std::vector<uint32_t> columns;  // ascending
    std::vector<float> weight;      // [columns, targets]
    std::vector<double> mean;       // [targets]
    size_t targets = 0;

    // scores [targets] of a row: mean + x w.
    void Predict(absl::Span<const uint32_t> at, absl::Span<const float> value,
                 absl::Span<const uint32_t> place_of, absl::Span<double> scores) const;
    // Column -> place in `columns`, or its size.
    std::vector<uint32_t> Places(size_t columns_in_all) const;
  };

  // Keeps the rows in the memory that they came in.
  explicit SparseRidge(SparseRows x);

  // y [rows, targets], NaN = not known; lambda [targets] > 0. A target that is known nowhere has
  // mean 0.
  Weights Solve(absl::Span<const float> y, absl::Span<const double> lambda) const;

  // Sum of squares of each column that Weights would name: the diagonal of X^T X.
  std::vector<float> SquaresOfColumns() const;
  int iterations() const { return iterations_; }

 private:
  // out = X X^T in, both [rows, targets].
  void Multiply(const std::vector<float>& in, size_t targets, std::vector<float>& spare,
                std::vector<float>& out) const;
  // out [places, targets] = X^T in.
  void Transposed(const std::vector<float>& in, size_t targets, size_t places,
                  std::vector<float>& out) const;

  size_t rows_;
  size_t shared_ = 0;  // columns that several rows have: places [0, shared_)
  std::vector<uint32_t> column_of_;     // place -> column
  SparseRows shared_entries_;  // by row, of the shared columns; `column` holds their places
  std::vector<size_t> place_begin_;  // all entries by place
  std::vector<uint32_t> place_row_;
  std::vector<float> place_value_;
  std::vector<float> diagonal_;  // of the columns of one row
  mutable int iterations_ = 0;
};

}  // namespace penstock::router
