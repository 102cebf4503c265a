#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/client/pool_client.h"

namespace penstock::cli {

// Exit codes of `penstock health`, as probes read them.
inline constexpr int kExitNotServing = 1;
inline constexpr int kExitNotAsked = 2;

struct HealthQuestion {
  std::string address;
  std::string service;  // empty: the whole server
  ClientOptions tls;    // what of it is about TLS
  // False: TLS, to whoever answers. `tls` may have a certificate to show, and no more.
  bool verify = true;
  absl::Duration timeout = absl::Seconds(1);
};

// Asks once, by grpc.health.v1. OK: SERVING. What else is said is an error with kExitNotServing;
// where nobody says anything, or the options are no good, it has kExitNotAsked (cli/exit_code.h).
absl::Status CheckHealth(const HealthQuestion& question);

}  // namespace penstock::cli
