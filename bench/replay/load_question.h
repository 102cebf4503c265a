#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "bench/replay/replay_case.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// What do requests of a busy pool lose by being assigned one by one? At 70 to 95 % of the capacity,
// experts with slots that let each serve its even part: the best by estimate, the best with a free
// slot, the best less the price of load, and windows of an eighth to one mean run time. -> rows,
// over seeds.
absl::StatusOr<nlohmann::ordered_json> LoadQuestion(const ReplayCase& replay, uint64_t seeds);

}  // namespace penstock::router
