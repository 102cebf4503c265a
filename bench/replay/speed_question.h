#pragma once

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// How many requests a second of wall time does one core simulate, of a pool of 16 experts whose
// estimates are given, under a budget per request? Median of `rounds`; and whether every round had
// the same digest. And the same of token steps under deadlines. -> rows.
absl::StatusOr<nlohmann::ordered_json> SpeedQuestion(size_t requests, size_t rounds);

}  // namespace penstock::router
