#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::cli {

// What `penstock plan` needs of an outcome table (router_service/learning/outcome_table.h has the
// format): also the application class of a request ("class") and seconds beside joules; no inputs.
struct PlanTable {
  std::vector<std::string> experts;         // in order of appearance
  std::vector<std::string> classes;         // in order of appearance; "default" where none is told
  std::vector<uint32_t> class_of;           // [rows]
  std::vector<std::vector<float>> quality;  // [experts][rows], NaN: unknown
  std::vector<std::vector<float>> joules;   // the same
  std::vector<std::vector<float>> seconds;  // the same
  std::vector<std::vector<float>> confidence;  // the same: the larger probability of the answer
  size_t skipped = 0;                          // malformed lines
  std::vector<std::string> problems;           // of the first of them, with file and line

  size_t rows() const { return class_of.size(); }
};

// Reads line by line, plain or gzipped. Malformed lines are counted and left out; more than
// `most_malformed` of them end the reading: INVALID_ARGUMENT.
absl::StatusOr<PlanTable> ReadPlanTable(const std::string& path, size_t most_malformed);

}  // namespace penstock::cli
