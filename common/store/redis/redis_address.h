#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace penstock {

struct RedisHost {
  std::string host;  // a name, or an IP address without brackets
  uint16_t port = 0;

  bool operator==(const RedisHost&) const = default;
  std::string text() const;
};

struct RedisCredentials {
  std::string user;      // empty: the server's default user
  std::string password;  // empty: none, unless there is a file
  std::string password_file;

  bool operator==(const RedisCredentials&) const = default;
};

struct RedisTls {
  std::string ca_file;  // PEM. Empty: the system's authorities
  std::string certificate_file, key_file;
  std::string server_name;  // what the certificate must name. Empty: the host
};

// Where a Redis is and how to talk to it; docs/store.md describes the text form.
struct RedisAddress {
  std::vector<RedisHost> hosts;  // one server, or the sentinels
  std::string unix_socket;       // instead of a host
  std::string master_name;       // not empty: hosts are sentinels
  bool tls = false;
  RedisTls tls_files;
  RedisCredentials credentials, sentinel_credentials;
  int db = 0;
  std::string prefix;  // of every key and channel

  absl::Duration connect_timeout = absl::Seconds(2);  // the greeting included
  // A server that owes replies for so long is taken for dead.
  absl::Duration stall_timeout = absl::Seconds(2);
  absl::Duration longest_backoff = absl::Seconds(2);
  int64_t max_in_flight = 4096;
  int64_t max_value_bytes = int64_t{64} << 20;  // of a value, and of a reply

  // Without credentials; for messages.
  std::string text() const;
};

// INVALID_ARGUMENT names what is wrong, and never tells a password.
absl::StatusOr<RedisAddress> ParseRedisAddress(absl::string_view uri);

// The text without what stands before an @.
std::string WithoutCredentials(absl::string_view uri);

}  // namespace penstock
