#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// What can be said of a sparse gate's configuration before its file and its pool's features are
// known. `path` is the configuration's, `expert_names` the pool's. INVALID_ARGUMENT names the
// field, what was wanted and what came. The top-k softmax and the random gate have their own
// checks.
absl::Status ValidateGate(const std::string& path, const config::v1::Gate& config,
                          const std::vector<std::string>& expert_names);

}  // namespace penstock::router
