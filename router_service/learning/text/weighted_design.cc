#include "router_service/learning/text/weighted_design.h"

#include <cmath>
#include <vector>

namespace penstock::router {

FeatureWeighting FitWeighting(const TextOutcomes& outcomes, absl::Span<const size_t> taken,
                              double dense_share, size_t most_columns) {
  FeatureWeighting weighting;
  weighting.buckets = outcomes.counts.columns;
  while (weighting.buckets >> weighting.fold_shift > most_columns) ++weighting.fold_shift;
  weighting.idf = InverseDocumentFrequency(outcomes.counts, taken, weighting.fold_shift);
  const size_t width = outcomes.dense_dimension;
  for (size_t j = 0; j < width; ++j) {
    double sum = 0, squares = 0;
    for (const size_t row : taken) sum += outcomes.dense[row * width + j];
    const double mean = sum / static_cast<double>(taken.size());
    for (const size_t row : taken) {
      const double off = outcomes.dense[row * width + j] - mean;
      squares += off * off;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(taken.size()));
    weighting.dense_mean.push_back(static_cast<float>(mean));
    weighting.dense_scale.push_back(
        deviation > 1e-6 ? static_cast<float>(dense_share / (deviation * std::sqrt(width))) : 0.0f);
  }
  return weighting;
}

SparseRows WeightedRows(const TextOutcomes& outcomes, const FeatureWeighting& weighting,
                        absl::Span<const size_t> taken) {
  SparseRows result;
  result.columns = weighting.columns();
  size_t entries = taken.size() * outcomes.dense_dimension;
  for (const size_t row : taken) entries += outcomes.counts.Columns(row).size();
  result.column.reserve(entries);
  result.value.reserve(entries);
  std::vector<uint32_t> at;
  std::vector<float> value;
  for (const size_t row : taken) {
    weighting.Apply(outcomes.Features(row), at, value);
    result.Add(at, value);
  }
  return result;
}

}  // namespace penstock::router
