#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/features/feature_view.h"
#include "router_service/features/sparse_rows.h"

namespace penstock::router {

// What every expert made of every prompt of a recording: one JSON object a line,
//   {"id": 7, "prompt": "Why is ...", "group": "why is", "experts": {"small": {"quality": 1,
//    "out_tokens": 212, "joules": 31.5, "seconds": 4.1}, "large": {...}}}
// "input" may stand for "prompt", as a string or as {"<tensor>": ["..."]}. Rows of one "group" (the
// same question in other words) are never split between fitting and measuring; without it the
// prompt is its own. "quality" is in [0, 1], or null for unknown; everything else of an expert may
// be left out, and so may experts.
struct TextOutcomes {
  std::vector<std::string> experts;
  std::vector<std::string> groups;  // [rows]
  SparseRows counts;                // [rows, buckets]: log(1 + times), as TextFeatures gives it
  size_t dense_dimension = 0;
  std::vector<float> dense;                     // [rows, dense_dimension]
  std::vector<float> quality, out_tokens, cost;  // [experts, rows], NaN = unknown
  // "joules", else "out_tokens", else "seconds": the first that is told wherever a quality is;
  // empty: none.
  std::string cost_unit;
  std::vector<std::string> prompts;  // the sample of keep_prompts
  size_t bad_rows = 0;
  std::vector<std::string> bad;  // the first few, as file:line: problem

  // Of a log of decisions: each row tells of the one expert that was asked. Routing cannot be measured on
  // it as on a table of all answers.
  bool partial = false;

  size_t rows() const { return groups.size(); }
  // Models can be compared by quality over cost.
  bool compares_costs() const { return !cost_unit.empty() && !partial; }
  size_t At(size_t expert, size_t row) const { return expert * rows() + row; }
  FeatureView Features(size_t row) const;
};

struct TextOutcomesSource {
  std::string file;  // plain or gzipped; read a line at a time
  config::v1::TextFeatures features;
  std::vector<std::string> experts;  // empty: all, in order of appearance, by name in a line
  size_t max_bad_rows = 0;           // more stop the reading
  size_t keep_prompts = 0;           // that many at most, drawn at random, stay as text
};

// INVALID_ARGUMENT with file:line and field once more rows than max_bad_rows are no outcomes.
absl::StatusOr<TextOutcomes> ReadTextOutcomes(const TextOutcomesSource& source);

// The fold of a group: the first 8 hex digits of its SHA-256, modulo `folds`.
int FoldOf(absl::string_view group, int folds);

}  // namespace penstock::router
