#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace penstock {

// When the first of a PEM file's certificates ends: of a chain or of a bundle of authorities.
// NOT_FOUND where it cannot be read, INVALID_ARGUMENT where it holds none or what is none.
absl::StatusOr<absl::Time> EarliestExpiry(const std::string& path);

}  // namespace penstock
