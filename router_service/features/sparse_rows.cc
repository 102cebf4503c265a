#include "router_service/features/sparse_rows.h"

#include <cmath>

namespace penstock::router {

void SparseRows::Add(absl::Span<const uint32_t> at, absl::Span<const float> of) {
  column.insert(column.end(), at.begin(), at.end());
  value.insert(value.end(), of.begin(), of.end());
  begin.push_back(column.size());
}

SparseRows TakeRows(const SparseRows& x, absl::Span<const size_t> taken) {
  SparseRows out;
  out.columns = x.columns;
  for (const size_t row : taken) out.Add(x.Columns(row), x.Values(row));
  return out;
}

std::vector<float> InverseDocumentFrequency(const SparseRows& x, absl::Span<const size_t> taken,
                                            uint32_t shift) {
  std::vector<uint32_t> having(x.columns >> shift, 0);
  for (const size_t row : taken) {
    uint32_t last = 0;
    bool any = false;
    for (const uint32_t j : x.Columns(row)) {
      if (!any || j >> shift != last) ++having[j >> shift];
      last = j >> shift;
      any = true;
    }
  }
  std::vector<float> idf(having.size());
  const double all = 1.0 + static_cast<double>(taken.size());
  for (size_t j = 0; j < idf.size(); ++j) {
    idf[j] = static_cast<float>(std::log(all / (1.0 + having[j])) + 1.0);
  }
  return idf;
}

}  // namespace penstock::router
