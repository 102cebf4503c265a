#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "penstock/config/v1/server.pb.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace penstock {

// Plaintext where nothing is configured. Files are read once here, so that a missing one stops the
// start, and watched from then on.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const config::v1::Tls& tls);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const config::v1::Endpoint& endpoint);

}  // namespace penstock
