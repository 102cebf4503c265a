#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// A whole file, at most 16 MiB.
absl::StatusOr<std::string> ReadConfigText(const std::string& path);

// INVALID_ARGUMENT where `text` seems to have lost its end, going by how the text before it ended:
// YAML that stops after any line is YAML, and a number that lost digits is a number. A text that
// ends in a line feed is followed by ones that do, and one that ends in the line `...`, which ends
// a document of YAML, by ones that have that too.
absl::Status CheckWhole(absl::string_view before, absl::string_view text);

}  // namespace penstock
