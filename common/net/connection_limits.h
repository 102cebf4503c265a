#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "penstock/config/v1/server.pb.h"

namespace grpc {
class ChannelArguments;
class ServerBuilder;
}  // namespace grpc

namespace penstock {

// How long a server keeps its clients' connections; absl::InfiniteDuration(): for ever.
struct ConnectionLimits {
  absl::Duration max_age;
  absl::Duration max_age_grace;
  absl::Duration max_idle;
  absl::Duration keepalive_time;
  absl::Duration keepalive_timeout;
  absl::Duration min_ping_interval;

  // `default_max_age`: where the configuration names none. INVALID_ARGUMENT names the field.
  static absl::StatusOr<ConnectionLimits> Read(const config::v1::Connections& config,
                                               absl::Duration default_max_age);
  void Apply(grpc::ServerBuilder& builder) const;
};

// When a client asks a silent server whether it is there.
struct ClientKeepalive {
  absl::Duration time;
  absl::Duration timeout;
  // Pings go out however long no request does; else two at most.
  bool without_requests = false;

  // `permitted`: the server is known to bear pings. So is one whose endpoint has a
  // `keepalive_time`; others are pinged so seldom that none takes it for abuse.
  static absl::StatusOr<ClientKeepalive> Read(const config::v1::Endpoint& endpoint, bool permitted);
  void Apply(grpc::ChannelArguments& arguments) const;
};

}  // namespace penstock
