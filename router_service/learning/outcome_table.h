#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {

// What every expert answered to every request of a recording: one JSON object a line,
//   {"id": 7, "features": [0.1, 2], "experts": {"small": {"quality": 1, "confidence": [0.9, 0.06],
//    "joules": 0.2, "seconds": 0.004}, "large": {...}}}
// with, instead of "features" (z itself), "input": {"<tensor>": [...]} (nested for shapes) or a
// place in a raw matrix file: "row": i or "image_index": i, at the top or in "input". "quality" is
// in [0, 1] or null for unknown; "confidence" (the answer's two largest probabilities), "joules",
// "seconds", "flops" and "answer" (any JSON, compared only) may be left out, and so may experts.
struct OutcomeTable {
  std::vector<std::string> experts;
  size_t dimension = 0;
  std::vector<std::string> ids;              // the line number where there is no "id"
  std::vector<float> features;               // [rows, dimension]
  std::vector<float> quality;                // [experts, rows], NaN = unknown
  std::vector<float> cost;                   // [experts, rows], in cost_unit, NaN = unknown
  std::vector<AnswerConfidence> confidence;  // [experts, rows], first < 0 = unknown
  std::vector<size_t> answers;               // [experts, rows], hashes, 0 = unknown
  std::string
      cost_unit;  // "joules", else "flops", else "seconds": the first that is told throughout
  // Of a log of decisions, [rows]: the expert that was asked and, NaN = unknown, how probable that was.
  // What the others would have answered nobody knows. Empty: every expert was asked.
  std::vector<size_t> asked;
  std::vector<float> propensity;

  size_t rows() const { return ids.size(); }
  bool partial() const { return !asked.empty(); }
  size_t At(size_t expert, size_t row) const { return expert * rows() + row; }
  // The rows `taken`, in that order.
  OutcomeTable Subset(absl::Span<const size_t> taken) const;
};

struct OutcomeTableSource {
  std::string file;  // plain or gzipped
  // Raw little-endian fp32 [rows, input_dimension]. An "image_index" is a row of it; if one lies
  // beyond its end they are taken as names, lines and rows must be as many, and go together in
  // order.
  std::string inputs_file;
  size_t input_dimension = 0;
  config::v1::Features features;
  std::vector<std::string> experts;  // empty: all, in order of appearance
};

// INVALID_ARGUMENT with file:line and field.
absl::StatusOr<OutcomeTable> ReadOutcomeTable(const OutcomeTableSource& source);

// A whole file, unpacked if it is gzipped. NOT_FOUND, or INVALID_ARGUMENT for a damaged one.
absl::StatusOr<std::string> ReadMaybeGzipped(const std::string& path);

}  // namespace penstock::router
