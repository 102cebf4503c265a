#pragma once

#include <vector>

#include "absl/status/status.h"
#include "common/tensors/infer_message.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Request parameters that an expert's replicas get besides the caller's: what makes of one model
// several experts, each under limits of its own.

// INVALID_ARGUMENT names the one that has no value, or a name that no replica gets to see.
absl::Status ValidateParameters(const config::v1::PoolExpert& expert);
// In order of name.
std::vector<OutParameter> ExpertParameters(const config::v1::PoolExpert& expert);

}  // namespace penstock::router
