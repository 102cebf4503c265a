#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace penstock {

// All of a file that has at most `most` bytes. NOT_FOUND where it cannot be opened, UNAVAILABLE
// where it cannot be read, INVALID_ARGUMENT where it is larger; each names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t most);

}  // namespace penstock
