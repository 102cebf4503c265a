#include "router_service/dispatch/attempts/retry_pushback.h"

#include <cstdint>

#include "absl/strings/numbers.h"

namespace penstock::router {

absl::Duration ReadRetryPushback(const Metadata& trailers) {
  const absl::string_view value = FindMetadata(trailers, "grpc-retry-pushback-ms");
  if (value.empty()) return absl::ZeroDuration();
  int64_t ms = 0;
  if (!absl::SimpleAtoi(value, &ms) || ms < 0) return absl::InfiniteDuration();
  return absl::Milliseconds(ms);
}

}  // namespace penstock::router
