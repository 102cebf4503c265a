#include "common/net/grpc_metadata.h"

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "absl/strings/match.h"
#include "common/net/caller_rights.h"

namespace penstock {
namespace {

bool Reserved(const std::string& key) {
  if (key == kRetryPushbackMetadata) return false;  // gRPC leaves this one to the server's code
  return absl::StartsWith(key, "grpc-") || key == "user-agent" || key == "content-type" ||
         key == "te" || key == "host" || key == "connection" || key == "keep-alive" ||
         key == "proxy-connection" || key == "transfer-encoding" || key == "upgrade";
}

bool Sendable(const std::string& key, const std::string& value) {
  if (Reserved(key)) return false;
  const grpc_slice key_slice = grpc_slice_from_static_buffer(key.data(), key.size());
  if (!grpc_header_key_is_legal(key_slice)) return false;
  if (grpc_is_binary_header(key_slice)) return true;
  return grpc_header_nonbin_value_is_legal(
      grpc_slice_from_static_buffer(value.data(), value.size()));
}

}  // namespace

Metadata FromGrpcMetadata(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  Metadata out;
  out.reserve(metadata.size());
  for (const auto& [key, value] : metadata) {
    out.emplace_back(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  return out;
}

void ForSendable(const Metadata& metadata,
                 absl::FunctionRef<void(const std::string& key, const std::string& value)> add) {
  for (const auto& [key, value] : metadata) {
    if (Sendable(key, value)) add(key, value);
  }
}

}  // namespace penstock
