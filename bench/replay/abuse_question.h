#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "bench/replay/replay_case.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

// What can a tenth of the callers take from the others by prompts that look as if only the dearest
// expert could answer them, with and without bound_tenants? 20 principals send equally often, 2 of
// them attack. Every trace at 25, 50 and 75 % of the joules of the best single expert, per request.
// And what does bound_tenants cost 2 honest principals whose prompts are the dearest quarter? ->
// rows, of `seeds` seeds from `first_seed` on.
absl::StatusOr<nlohmann::ordered_json> AbuseQuestion(const ReplayCase& replay, uint64_t first_seed,
                                                     uint64_t seeds);

}  // namespace penstock::router
