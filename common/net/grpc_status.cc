#include "common/net/grpc_status.h"

#include <grpcpp/support/status.h>

#include <algorithm>
#include <string>

#include "absl/strings/match.h"

namespace penstock {
namespace {

// gRPC refuses headers of more than 8 KiB in all; percent-encoding may triple a byte.
constexpr size_t kMaxMessageBytes = 2048;

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status();
  const absl::string_view message = status.message().substr(0, kMaxMessageBytes);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(message.data(), message.size()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int code = status.error_code();
  // Codes beyond the known ones may come off the wire.
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      status.error_message());
}

bool EndedByConnection(const grpc::Status& status, absl::string_view debug) {
  const grpc::StatusCode code = status.error_code();
  if (code != grpc::StatusCode::UNAVAILABLE && code != grpc::StatusCode::CANCELLED) return false;
  if (!absl::StrContains(debug, "Error received from peer")) return true;  // it never got there
  // A stream whose connection ends gets a status of the transport's making, which looks like the
  // peer's.
  const std::string message = status.error_message();
  if (message.empty()) return true;
  for (const absl::string_view begins :
       {"Socket closed", "recvmsg:", "sendmsg:", "Connection reset", "Broken pipe",
        "Stream removed", "Endpoint read failed", "keepalive watchdog timeout", "Transport ",
        "transport ", "GOAWAY", "Received RST_STREAM", "Delayed close",
        "enter idle", "max_age"}) {  // the end of a connection's age and grace
    if (absl::StartsWith(message, begins)) return true;
  }
  return false;
}

absl::string_view StatusCodeName(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk: return "OK";
    case absl::StatusCode::kCancelled: return "CANCELLED";
    case absl::StatusCode::kUnknown: return "UNKNOWN";
    case absl::StatusCode::kInvalidArgument: return "INVALID_ARGUMENT";
    case absl::StatusCode::kDeadlineExceeded: return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kNotFound: return "NOT_FOUND";
    case absl::StatusCode::kAlreadyExists: return "ALREADY_EXISTS";
    case absl::StatusCode::kPermissionDenied: return "PERMISSION_DENIED";
    case absl::StatusCode::kResourceExhausted: return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kFailedPrecondition: return "FAILED_PRECONDITION";
    case absl::StatusCode::kAborted: return "ABORTED";
    case absl::StatusCode::kOutOfRange: return "OUT_OF_RANGE";
    case absl::StatusCode::kUnimplemented: return "UNIMPLEMENTED";
    case absl::StatusCode::kInternal: return "INTERNAL";
    case absl::StatusCode::kUnavailable: return "UNAVAILABLE";
    case absl::StatusCode::kDataLoss: return "DATA_LOSS";
    case absl::StatusCode::kUnauthenticated: return "UNAUTHENTICATED";
    default: return "UNKNOWN";  // the enumeration has an open member
  }
}

}  // namespace penstock
