#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// What gateways are told of keeping a cacheable pool's answers, but for the version.
// INVALID_ARGUMENT names the field.
absl::StatusOr<v1::CachePolicy> ReadCacheable(const config::v1::Pool& pool);

// SHA-256, in hex, over all of the configuration and the files that answers come from; the shadow's
// do not count. Equal at every router that has both alike.
std::string AnswerVersion(const config::v1::Pool& pool);

}  // namespace penstock::router
