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
// Whether a client's call without trailers ended because its connection did, or because there was
// none. gRPC says so in words only: `debug` is the context's debug_error_string. What is told
// without a word counts too: a server that is torn down ends its calls so. Words that this does not
// know pass for the server's.
bool EndedByConnection(const grpc::Status& status, absl::string_view debug);
// "NOT_FOUND" and so on.
absl::string_view StatusCodeName(absl::StatusCode code);

}  // namespace penstock
