#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/features/sparse_rows.h"
#include "router_service/quality/learned/nearest_neighbours.h"
#include "router_service/quality/learned/neighbour_graph.h"

namespace penstock::router {

// The k rows most alike to a query by cosine, in two steps: several times k candidates by rows of
// eight-bit codes, all of them scanned or, where there are many, found in a graph; then the
// candidates by their exact cosines. Codes of up to kWidth columns are the columns themselves, of
// more columns sums of columns under random signs (count sketch: Weinberger et al. 2009,
// arXiv:0902.2206), whose error is why there are several times k.
class NeighbourIndex {
 public:
  static constexpr size_t kWidth = 512;
  static constexpr size_t kMostScanned = 10000;  // rows
  static constexpr size_t kCandidates = 4;       // times k

  // More than `most_scanned` rows are searched by a graph.
  static absl::StatusOr<NeighbourIndex> Build(SparseRows rows, size_t most_scanned = kMostScanned);
  // With a graph's Bytes(); empty: the rows are scanned.
  static absl::StatusOr<NeighbourIndex> WithGraph(SparseRows rows, absl::string_view graph);

  const SparseRows& rows() const { return rows_; }
  // Null where rows are scanned.
  const NeighbourGraph* graph() const { return graph_.get(); }
  // By falling cosine, ties to the lower row; overwrites.
  void Find(absl::Span<const uint32_t> columns, absl::Span<const float> values, size_t k,
            std::vector<Neighbour>& found) const;

 private:
  explicit NeighbourIndex(SparseRows rows);
  // -> the code's factor without the row's length.
  float Encode(absl::Span<const uint32_t> columns, absl::Span<const float> values,
               absl::Span<int8_t> code) const;

  SparseRows rows_;
  std::vector<float> inverse_length_;  // [rows]
  CodedRows coded_;
  std::unique_ptr<const NeighbourGraph> graph_;
};

}  // namespace penstock::router
