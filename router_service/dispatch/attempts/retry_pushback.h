#pragma once

#include "absl/time/time.h"
#include "common/net/infer_call.h"

namespace penstock::router {

// What a server's trailers say about asking again (gRFC A6, `grpc-retry-pushback-ms`): after how
// long it may be, zero where they say nothing, absl::InfiniteDuration() where it must not be: a
// negative number, or what is none.
absl::Duration ReadRetryPushback(const Metadata& trailers);

}  // namespace penstock::router
