#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

struct Neighbour {
  uint32_t row = 0;
  float similarity = 0;
};

// The k most similar rows by dot product (cosine where rows have length 1), exact: postings of the
// query's columns are added up. By falling similarity, ties to the lower row.
class NearestNeighbours {
 public:
  explicit NearestNeighbours(const SparseRows& x);

  size_t rows() const { return rows_; }
  std::vector<Neighbour> Find(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                              size_t k) const;

 private:
  const size_t rows_;
  std::vector<size_t> begin_;  // [columns + 1], of the postings of a column
  std::vector<uint32_t> row_;
  std::vector<float> value_;
};

// What the neighbours' labels say of one expert.
struct NeighbourLabel {
  double mean = 0;
  double deviation = 0;
};

// Weighted mean of the labels, drawn towards `prior` as by two observations of it; the weights (all
// 1, or softmax of similarity / temperature) count as 1 / sum w^2 observations. temperature 0:
// equal weights; prior_weight 0: the plain mean of RouterBench's kNN router. NaN labels are left
// out.
NeighbourLabel ShrunkenMean(absl::Span<const Neighbour> neighbours, absl::Span<const float> labels,
                            double prior, double prior_weight, double temperature);

}  // namespace penstock::router
