#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::expert {

// JSON that others wrote, taken without faith: INVALID_ARGUMENT for what is no object, for a key
// that stands twice in an object (readers differ in which one counts) and for depths above 32.
absl::StatusOr<nlohmann::json> ParseStrictJson(absl::string_view text);
// The same of a regular file of at most `max_bytes`; errors start with its path.
absl::StatusOr<nlohmann::json> ReadStrictJson(const std::string& path, int64_t max_bytes);

// What a value is, for messages: its text, cut short.
std::string Said(const nlohmann::json& value);

}  // namespace penstock::expert
