#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace penstock {

// Codes map one to one. Messages are cut at 2 KiB: they travel in a header.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);
// "NOT_FOUND" and so on.
absl::string_view StatusCodeName(absl::StatusCode code);

}  // namespace penstock
