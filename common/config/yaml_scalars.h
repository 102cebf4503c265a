#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"

namespace penstock {

// Scalars of configuration files. Errors say what was wanted and what came, without a path.

absl::StatusOr<bool> ParseYamlBool(absl::string_view text);
// Decimal or 0x.
absl::StatusOr<int64_t> ParseYamlInt(absl::string_view text, int64_t min, int64_t max);
absl::StatusOr<uint64_t> ParseYamlUint(absl::string_view text, uint64_t max);
// Finite.
absl::StatusOr<double> ParseYamlDouble(absl::string_view text, double max);
// Not negative, finite.
absl::StatusOr<absl::Duration> ParseYamlDuration(absl::string_view text);
absl::StatusOr<const google::protobuf::EnumValueDescriptor*> ParseYamlEnum(
    absl::string_view text, const google::protobuf::EnumDescriptor& type);

// The candidate that a mistyped word probably means; empty: none is near.
std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace penstock
