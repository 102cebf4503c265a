#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/replay/replay_case.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// Is a budget kept, and what does keeping it cost? Every trace at 25, 50 and 75 % of the joules of
// the best single expert, per request and as watts, beside the best price in hindsight; and the
// same from a start price that is 30 times wrong, at three and ten times the rate, by plain dual
// mirror descent, and by a price fixed offline. -> rows.
absl::StatusOr<nlohmann::ordered_json> BudgetQuestion(const ReplayCase& replay, uint64_t seeds);

}  // namespace penstock::router
