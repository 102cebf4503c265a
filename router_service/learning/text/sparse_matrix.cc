#include "router_service/learning/text/sparse_matrix.h"

#include <cmath>

namespace penstock::router {

void SparseMatrix::Add(absl::Span<const uint32_t> at, absl::Span<const float> value) {
  indices.insert(indices.end(), at.begin(), at.end());
  values.insert(values.end(), value.begin(), value.end());
  begin.push_back(indices.size());
}

absl::Span<const uint32_t> SparseMatrix::IndicesOf(size_t row) const {
  return absl::MakeConstSpan(indices).subspan(begin[row], begin[row + 1] - begin[row]);
}
absl::Span<const float> SparseMatrix::ValuesOf(size_t row) const {
  return absl::MakeConstSpan(values).subspan(begin[row], begin[row + 1] - begin[row]);
}

std::vector<float> InverseDocumentFrequency(const SparseMatrix& x, absl::Span<const size_t> taken) {
  std::vector<uint32_t> having(x.columns, 0);
  for (const size_t row : taken) {
    for (const uint32_t j : x.IndicesOf(row)) ++having[j];
  }
  std::vector<float> idf(x.columns);
  const double all = 1.0 + static_cast<double>(taken.size());
  for (size_t j = 0; j < x.columns; ++j) {
    idf[j] = static_cast<float>(std::log(all / (1.0 + having[j])) + 1.0);
  }
  return idf;
}

SparseMatrix WeightedRows(const SparseMatrix& x, absl::Span<const size_t> taken,
                        absl::Span<const float> weight) {
  SparseMatrix result;
  result.columns = x.columns;
  size_t entries = 0;
  for (const size_t row : taken) entries += x.begin[row + 1] - x.begin[row];
  result.indices.reserve(entries);
  result.values.reserve(entries);
  for (const size_t row : taken) {
    const auto at = x.IndicesOf(row);
    const auto value = x.ValuesOf(row);
    double square = 0;
    for (size_t i = 0; i < at.size(); ++i) {
      const float weighted = value[i] * weight[at[i]];
      square += static_cast<double>(weighted) * weighted;
      result.indices.push_back(at[i]);
      result.values.push_back(weighted);
    }
    const float scale = square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0.0f;
    for (size_t i = result.begin.back(); i < result.values.size(); ++i) result.values[i] *= scale;
    result.begin.push_back(result.indices.size());
  }
  return result;
}

}  // namespace penstock::router
