#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// Calls `take` with the object of every line that is not blank; its error is told with file and
// line, and so are lines that are no objects.
absl::Status ReadJsonRows(const std::string& path,
                          const std::function<absl::Status(const nlohmann::json&)>& take);

// A list of numbers; INVALID_ARGUMENT names the field.
absl::StatusOr<std::vector<float>> NumbersOf(const nlohmann::json& row, const char* field);
absl::StatusOr<size_t> IndexOf(const nlohmann::json& row, const char* field);

// INVALID_ARGUMENT unless `p` are probabilities of `labels` labels that sum to 1, to 0.02.
absl::Status CheckDistribution(absl::Span<const float> p, size_t labels);

size_t LargestOf(absl::Span<const float> values);

}  // namespace penstock::router
