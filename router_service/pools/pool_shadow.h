#pragma once

#include "absl/status/status.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Of a pool that has a shadow. INVALID_ARGUMENT names the field.
absl::Status ValidateShadow(const config::v1::Pool& pool);

// The pool as it is once its shadow is live: the shadow's files, and no shadow.
config::v1::Pool WithShadowLive(const config::v1::Pool& pool);

}  // namespace penstock::router
