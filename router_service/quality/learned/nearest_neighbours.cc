#include "router_service/quality/learned/nearest_neighbours.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {

NearestNeighbours::NearestNeighbours(const SparseRows& x)
    : rows_(x.rows()), begin_(x.columns + 1), row_(x.value.size()), value_(x.value.size()) {
  for (const uint32_t column : x.column) ++begin_[column + 1];
  for (size_t column = 0; column < x.columns; ++column) begin_[column + 1] += begin_[column];
  std::vector<size_t> next(begin_.begin(), begin_.end() - 1);
  for (size_t row = 0; row < rows_; ++row) {
    for (size_t i = x.begin[row]; i < x.begin[row + 1]; ++i) {
      const size_t place = next[x.column[i]]++;
      row_[place] = static_cast<uint32_t>(row);
      value_[place] = x.value[i];
    }
  }
}

std::vector<Neighbour> NearestNeighbours::Find(absl::Span<const uint32_t> columns,
                                               absl::Span<const float> values, size_t k) const {
  std::vector<float> similarity(rows_, 0.0f);
  for (size_t i = 0; i < columns.size(); ++i) {
    const float value = values[i];
    for (size_t p = begin_[columns[i]]; p < begin_[columns[i] + 1]; ++p) {
      similarity[row_[p]] += value * value_[p];
    }
  }
  std::vector<Neighbour> all(rows_);
  for (size_t row = 0; row < rows_; ++row) {
    all[row] = {static_cast<uint32_t>(row), similarity[row]};
  }
  k = std::min(k, rows_);
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k), all.end(),
                    [](const Neighbour& a, const Neighbour& b) {
                      return a.similarity != b.similarity ? a.similarity > b.similarity
                                                          : a.row < b.row;
                    });
  all.resize(k);
  return all;
}

NeighbourLabel ShrunkenMean(absl::Span<const Neighbour> neighbours, absl::Span<const float> labels,
                            double prior, double prior_weight, double temperature) {
  double sum = 0, squares = 0, labelled = 0;
  for (const Neighbour& neighbour : neighbours) {
    if (std::isnan(labels[neighbour.row])) continue;
    // Relative to the nearest one, so that the exponential cannot overflow.
    const double weight =
        temperature > 0
            ? std::exp((neighbour.similarity - neighbours.front().similarity) / temperature)
            : 1.0;
    sum += weight;
    squares += weight * weight;
    labelled += weight * labels[neighbour.row];
  }
  if (sum == 0) return {prior, std::sqrt(prior * (1 - prior) / std::max(prior_weight, 1.0))};
  const double effective = sum * sum / squares;
  NeighbourLabel label;
  label.mean = (effective * labelled / sum + prior_weight * prior) / (effective + prior_weight);
  label.deviation =
      std::sqrt(std::max(0.0, label.mean * (1 - label.mean)) / (effective + prior_weight));
  return label;
}

}  // namespace penstock::router
