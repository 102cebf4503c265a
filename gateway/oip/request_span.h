#pragma once

#include <string>

#include "common/bytes.h"
#include "common/tracing/span.h"

namespace penstock::gateway {

// Who asked for what, and what a router's answer says of itself: its decision, experts and joules.
// Reads nothing of the answer's tensors. `body` is empty where the request was refused.
void DescribeRequest(const std::string& pool, const std::string& tenant,
                     const std::string& request_id, const Bytes& body, Span& span);

}  // namespace penstock::gateway
