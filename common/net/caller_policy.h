#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_control.h"

namespace grpc {
class ServerContextBase;
}  // namespace grpc

namespace penstock {

// Decides which callers are believed: those on an in-process channel, those whose certificate bears
// a trusted name, and with `trust_plaintext` those that came without TLS. Immutable.
class CallerPolicy {
 public:
  // `tls`: the server has a certificate, so callers may have one.
  CallerPolicy(std::vector<std::string> trusted_names, bool trust_plaintext, bool tls)
      : trusted_names_(std::move(trusted_names)), trust_plaintext_(trust_plaintext), tls_(tls) {}

  Caller Identify(const grpc::ServerContextBase& context) const;
  // The rule for callers over sockets. `names` are the certificate's; `peer` is gRPC's peer string.
  Caller Identify(std::string peer, bool secure, const std::vector<std::string>& names) const;

 private:
  const std::vector<std::string> trusted_names_;
  const bool trust_plaintext_;
  const bool tls_;
};

// What the client sent with a call.
Metadata ClientMetadata(const grpc::ServerContextBase& context);
absl::Time ClientDeadline(const grpc::ServerContextBase& context);
// For services of our own that are registered beside OIP's.
ControlContext MakeControlContext(const grpc::ServerContextBase& context,
                                  const CallerPolicy& policy);

}  // namespace penstock
