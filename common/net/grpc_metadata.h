#pragma once

#include <grpcpp/support/string_ref.h>

#include <map>

#include "absl/functional/function_ref.h"
#include "common/net/infer_call.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

Metadata FromGrpcMetadata(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

// Calls `add` for the entries that may be sent. gRPC aborts the process over illegal keys and
// values, and some keys are its own: those are left out.
void ForSendable(const Metadata& metadata,
                 absl::FunctionRef<void(const std::string& key, const std::string& value)> add);

}  // namespace penstock
