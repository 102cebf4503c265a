#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/replay/replay_case.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// Are latency promises kept? Experts with continuous batching, as `token_profiles_file` tells them,
// at 70 % of what the pool can finish; deadlines log-uniform in 1.2 to 6 times the unloaded time of
// the pool's median expert. Each trace at promises of .95 and .99, counted after 300 s. -> rows.
absl::StatusOr<nlohmann::ordered_json> DeadlineQuestion(const ReplayCase& replay,
                                                        const std::string& token_profiles_file,
                                                        uint64_t seeds);

}  // namespace penstock::router
