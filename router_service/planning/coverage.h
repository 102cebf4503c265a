#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// What every expert is worth in every request of a sample, column by column, and the sums over the
// sample that set planning asks for. A set S is worth
//   F(S) = mean over requests x of the sum of the k largest v_i(x), i in S:
// a mean of weighted rank functions of uniform matroids, hence monotone and submodular for v >= 0.
class Coverage {
 public:
  // values: [experts, rows], finite, not below 0.
  Coverage(size_t experts, size_t rows, absl::Span<const double> values);

  size_t experts() const { return experts_; }
  size_t rows() const { return rows_; }
  // Rows with zeros behind them, so that loops go in whole blocks.
  size_t padded() const { return padded_; }
  const double* column(size_t expert) const { return values_.data() + expert * padded_; }

 private:
  const size_t experts_, rows_, padded_;
  std::vector<double> values_;
};

// The `levels` largest values seen in each row.
class TopLevels {
 public:
  TopLevels(size_t padded, size_t levels);
  void Clear();
  void Add(const double* column);
  // The (index + 1)-th largest of each row; 0 where fewer were added.
  const double* level(size_t index) const { return levels_.data() + index * padded_; }
  // Sum over rows of the `count` largest.
  double Sum(size_t count) const;

 private:
  const size_t padded_, count_;
  std::vector<double> levels_;
};

// Sum over rows of max(0, column - level); the size is a multiple of Coverage's block.
double SumExcess(const double* column, const double* level, size_t padded);
double SumOf(const double* values, size_t padded);

}  // namespace penstock::router
