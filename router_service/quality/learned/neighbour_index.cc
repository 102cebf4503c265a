#include "router_service/quality/learned/neighbour_index.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "common/random.h"
#include "common/status_macros.h"
#include "kernels/scan_int8/scan_int8.h"

namespace penstock::router {
namespace {

float InverseLength(absl::Span<const float> values) {
  double square = 0;
  for (const float value : values) square += static_cast<double>(value) * value;
  const float inverse = static_cast<float>(1 / std::sqrt(square));
  return std::isfinite(inverse) ? inverse : 0.0f;  // of no length, or one beyond numbers
}

constexpr uint64_t kSketchSeed = 1;  // part of what a graph in a file means

}  // namespace

NeighbourIndex::NeighbourIndex(SparseRows rows) : rows_(std::move(rows)) {
  // Whole words: the graph keeps numbers behind the codes.
  coded_.width = (std::min(rows_.columns, kWidth) + 7) / 8 * 8;
  coded_.codes.resize(rows_.rows() * coded_.width);
  for (size_t row = 0; row < rows_.rows(); ++row) {
    inverse_length_.push_back(InverseLength(rows_.Values(row)));
    const float factor =
        Encode(rows_.Columns(row), rows_.Values(row),
               absl::MakeSpan(coded_.codes).subspan(row * coded_.width, coded_.width));
    const float scaled = factor * inverse_length_.back();
    coded_.factors.push_back(std::isfinite(scaled) ? scaled : 0.0f);
  }
}

absl::StatusOr<NeighbourIndex> NeighbourIndex::Build(SparseRows rows, size_t most_scanned) {
  NeighbourIndex index(std::move(rows));
  if (index.rows_.rows() > most_scanned) {
    PENSTOCK_ASSIGN_OR_RETURN(index.graph_, NeighbourGraph::Build(index.coded_));
  }
  return index;
}

absl::StatusOr<NeighbourIndex> NeighbourIndex::WithGraph(SparseRows rows, absl::string_view graph) {
  NeighbourIndex index(std::move(rows));
  if (!graph.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(
        index.graph_, NeighbourGraph::FromBytes(graph, index.rows_.rows(), index.coded_.width));
  }
  return index;
}

float NeighbourIndex::Encode(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                             absl::Span<int8_t> code) const {
  thread_local std::vector<float> dense;
  dense.assign(code.size(), 0.0f);
  const bool sketched = rows_.columns > code.size();
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!sketched) {
      dense[columns[i]] = values[i];
      continue;
    }
    const uint64_t bits = CounterRandom(kSketchSeed, columns[i]).Bits();
    dense[bits % code.size()] += bits >> 63 ? values[i] : -values[i];
  }
  float most = 0;
  for (const float value : dense) most = std::max(most, std::abs(value));
  const float scale = most > 0 ? 127 / most : 0.0f;
  for (size_t k = 0; k < code.size(); ++k) {
    code[k] = static_cast<int8_t>(std::lround(dense[k] * scale));
  }
  return most / 127;
}

void NeighbourIndex::Find(absl::Span<const uint32_t> columns, absl::Span<const float> values,
                          size_t k, std::vector<Neighbour>& found) const {
  found.clear();
  k = std::min(k, rows_.rows());
  const size_t wanted = std::min(kCandidates * k, rows_.rows());
  if (wanted == 0) return;
  thread_local std::vector<int8_t> code;
  thread_local std::vector<int32_t> dots;
  thread_local std::vector<uint32_t> candidates;
  code.resize(coded_.width);
  const float factor = Encode(columns, values, absl::MakeSpan(code));
  const float inverse_length = InverseLength(values);
  if (graph_ != nullptr) {
    graph_->Search(code, factor * inverse_length, wanted, candidates);
  } else {
    dots.resize(rows_.rows());
    kernels::ScanInt8Args args;
    args.rows = static_cast<int64_t>(rows_.rows());
    args.width = static_cast<int64_t>(coded_.width);
    args.codes = coded_.codes.data();
    args.query = code.data();
    args.dots = dots.data();
    if (!kernels::ScanInt8(args).ok()) return;
    candidates.resize(rows_.rows());
    std::iota(candidates.begin(), candidates.end(), 0u);
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(wanted - 1),
                     candidates.end(), [&](uint32_t a, uint32_t b) {
                       const float of_a = static_cast<float>(dots[a]) * coded_.factors[a];
                       const float of_b = static_cast<float>(dots[b]) * coded_.factors[b];
                       return of_a != of_b ? of_a > of_b : a < b;
                     });
    candidates.resize(wanted);
  }
  thread_local std::vector<float> query;  // all 0 between calls
  if (query.size() < rows_.columns) query.resize(rows_.columns, 0.0f);
  for (size_t i = 0; i < columns.size(); ++i) query[columns[i]] = values[i] * inverse_length;
  for (const uint32_t row : candidates) {
    const auto at = rows_.Columns(row);
    const auto value = rows_.Values(row);
    float dot = 0;
    for (size_t i = 0; i < at.size(); ++i) dot += value[i] * query[at[i]];
    // What is no number has no place in an order.
    const float similarity = dot * inverse_length_[row];
    if (std::isfinite(similarity)) found.push_back({row, similarity});
  }
  for (const uint32_t column : columns) query[column] = 0;
  std::sort(found.begin(), found.end(), [](const Neighbour& a, const Neighbour& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
  });
  found.resize(std::min(k, found.size()));
}

}  // namespace penstock::router
