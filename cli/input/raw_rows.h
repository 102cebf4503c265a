#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace penstock::cli {

// What one request may hold, and what is read of a pipe.
inline constexpr size_t kMostRowBytes = 64 << 20;

// A file of rows of `row_bytes`, at least 1: all of it, or one row. A regular file may be of any
// size where one row is wanted; what else is read is at most kMostRowBytes. INVALID_ARGUMENT names
// what is wrong: what can be read without an end, such as /dev/zero, is neither file nor pipe.
absl::StatusOr<std::string> ReadRawRows(const std::string& path, size_t row_bytes,
                                        std::optional<uint64_t> row);

}  // namespace penstock::cli
