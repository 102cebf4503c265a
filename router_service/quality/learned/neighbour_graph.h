#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::router {

// A row whose entries were rounded to eight bits: entry k is code[k] * factor, and the factor holds
// the inverse of the row's length too, so that products of two rows are cosines.
struct CodedRows {
  size_t width = 0;
  std::vector<int8_t> codes;   // [rows, width]
  std::vector<float> factors;  // [rows]

  size_t rows() const { return factors.size(); }
};

// Hierarchical navigable small world graph (Malkov and Yashunin 2016, arXiv:1603.09320; hnswlib)
// over coded rows: approximate neighbours among many rows. Immutable, thread-safe.
class NeighbourGraph {
 public:
  // The same rows give the same graph.
  static absl::StatusOr<std::unique_ptr<const NeighbourGraph>> Build(const CodedRows& rows);
  // INVALID_ARGUMENT where `bytes` are not Bytes() of a graph of so many rows of that width.
  static absl::StatusOr<std::unique_ptr<const NeighbourGraph>> FromBytes(absl::string_view bytes,
                                                                         size_t rows, size_t width);
  ~NeighbourGraph();

  absl::StatusOr<std::string> Bytes() const;
  // About the `count` most alike rows, in no order; overwrites. Allocates: the library keeps its
  // candidates in heaps of its own.
  void Search(absl::Span<const int8_t> code, float factor, size_t count,
              std::vector<uint32_t>& found) const;

 private:
  struct Index;
  explicit NeighbourGraph(std::unique_ptr<Index> index);
  const std::unique_ptr<Index> index_;
};

}  // namespace penstock::router
