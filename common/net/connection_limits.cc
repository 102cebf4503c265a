#include "common/net/connection_limits.h"

#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr absl::Duration kDefaultGrace = absl::Minutes(2);
constexpr absl::Duration kDefaultMaxIdle = absl::Minutes(30);
constexpr absl::Duration kDefaultServerKeepalive = absl::Seconds(30);
constexpr absl::Duration kDefaultServerTimeout = absl::Seconds(20);
// Half of what clients of ours leave between two pings.
constexpr absl::Duration kDefaultMinPingInterval = absl::Seconds(5);
constexpr absl::Duration kDefaultClientKeepalive = absl::Seconds(10);
// gRPC's servers count pings as abuse where they come within five minutes and nothing was sent
// meanwhile: a few of them while a long answer is awaited would end its connection.
constexpr absl::Duration kStrangersKeepalive = absl::Seconds(310);
constexpr absl::Duration kDefaultClientTimeout = absl::Seconds(10);
// gRPC sends no pings in shorter succession.
constexpr absl::Duration kLeastKeepalive = absl::Seconds(1);
constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMost = absl::Hours(24);

// `least` to a day.
absl::StatusOr<absl::Duration> Field(const std::string& name, bool set,
                                     const google::protobuf::Duration& value,
                                     absl::Duration if_unset, absl::Duration least) {
  if (!set) return if_unset;
  const absl::Duration duration = absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
  if (duration < least || duration > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is ", absl::FormatDuration(duration), ", wanted ",
                     least == absl::ZeroDuration() ? "0" : absl::FormatDuration(least), " to 24h"));
  }
  return duration;
}

// The same where 0 says "never".
absl::StatusOr<absl::Duration> FieldOrNever(const std::string& name, bool set,
                                            const google::protobuf::Duration& value,
                                            absl::Duration if_unset) {
  PENSTOCK_ASSIGN_OR_RETURN(const absl::Duration duration,
                            Field(name, set, value, if_unset, absl::ZeroDuration()));
  return duration == absl::ZeroDuration() ? absl::InfiniteDuration() : duration;
}

int Millis(absl::Duration duration) {
  return static_cast<int>(std::max<int64_t>(absl::ToInt64Milliseconds(duration), 1));
}

}  // namespace

absl::StatusOr<ConnectionLimits> ConnectionLimits::Read(const config::v1::Connections& config,
                                                        absl::Duration default_max_age) {
  const std::string at = "server.connections.";
  ConnectionLimits limits;
  PENSTOCK_ASSIGN_OR_RETURN(limits.max_age, FieldOrNever(at + "max_age", config.has_max_age(),
                                                         config.max_age(), default_max_age));
  PENSTOCK_ASSIGN_OR_RETURN(limits.max_age_grace,
                            Field(at + "max_age_grace", config.has_max_age_grace(),
                                  config.max_age_grace(), kDefaultGrace, absl::ZeroDuration()));
  PENSTOCK_ASSIGN_OR_RETURN(limits.max_idle, FieldOrNever(at + "max_idle", config.has_max_idle(),
                                                          config.max_idle(), kDefaultMaxIdle));
  PENSTOCK_ASSIGN_OR_RETURN(
      limits.keepalive_time,
      Field(at + "keepalive_time", config.has_keepalive_time(), config.keepalive_time(),
            kDefaultServerKeepalive, kLeastKeepalive));
  PENSTOCK_ASSIGN_OR_RETURN(
      limits.keepalive_timeout,
      Field(at + "keepalive_timeout", config.has_keepalive_timeout(), config.keepalive_timeout(),
            kDefaultServerTimeout, kLeastTimeout));
  PENSTOCK_ASSIGN_OR_RETURN(
      limits.min_ping_interval,
      Field(at + "min_ping_interval", config.has_min_ping_interval(), config.min_ping_interval(),
            kDefaultMinPingInterval, absl::ZeroDuration()));
  return limits;
}

void ConnectionLimits::Apply(grpc::ServerBuilder& builder) const {
  if (max_age != absl::InfiniteDuration()) {
    // gRPC draws each connection's age within a tenth to either side.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(max_age));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(max_age_grace));
  }
  if (max_idle != absl::InfiniteDuration()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Millis(max_idle));
  }
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(keepalive_timeout));
  // Pings of connections without calls go out, and are taken, as those of others.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Millis(min_ping_interval));
}

absl::StatusOr<ClientKeepalive> ClientKeepalive::Read(const config::v1::Endpoint& endpoint,
                                                      bool permitted) {
  ClientKeepalive keepalive;
  PENSTOCK_ASSIGN_OR_RETURN(
      keepalive.time,
      Field("keepalive_time", endpoint.has_keepalive_time(), endpoint.keepalive_time(),
            permitted ? kDefaultClientKeepalive : kStrangersKeepalive, kLeastKeepalive));
  PENSTOCK_ASSIGN_OR_RETURN(
      keepalive.timeout, Field("keepalive_timeout", endpoint.has_keepalive_timeout(),
                               endpoint.keepalive_timeout(), kDefaultClientTimeout, kLeastTimeout));
  keepalive.without_requests = permitted || endpoint.has_keepalive_time();
  return keepalive;
}

void ClientKeepalive::Apply(grpc::ChannelArguments& arguments) const {
  // A peer that acknowledges nothing for the time-out is given up too (TCP_USER_TIMEOUT).
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(timeout));
  // Watches stay open on every connection, so that there is always a call.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, without_requests ? 0 : 2);
}

}  // namespace penstock
