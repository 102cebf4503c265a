#pragma once

#include <cstddef>
#include <istream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock::cli {

// How good an earlier answer was, by whoever knows.
struct Feedback {
  std::string decision_id;
  double quality = 0;  // in [0, 1]
  size_t line = 0;     // of the file; 0: it stood on the command line
};

// INVALID_ARGUMENT names the field.
absl::Status CheckFeedback(const Feedback& feedback);

// Lines of {"decision_id": "0a1b2c3d-0000000000000007", "quality": 1}; empty lines are left out.
// All of `text` is read before anything is sent: INVALID_ARGUMENT names `name`, line and field, and
// a key that is none of the two is an error.
absl::StatusOr<std::vector<Feedback>> ReadFeedback(std::istream& text, const std::string& name);

}  // namespace penstock::cli
