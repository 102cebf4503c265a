#pragma once

#include <string>

#include "absl/container/flat_hash_set.h"

namespace penstock::gateway {

// The names under `identity.quotas`, which keys and tokens refer to.
using QuotaNames = absl::flat_hash_set<std::string>;

}  // namespace penstock::gateway
