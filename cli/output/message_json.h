#pragma once

#include <google/protobuf/message.h>

#include "absl/status/status.h"

namespace penstock::cli {

// Prints an answer as JSON to stdout, under the names of its .proto, zeros included.
absl::Status PrintJson(const google::protobuf::Message& message);

}  // namespace penstock::cli
