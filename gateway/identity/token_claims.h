#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/identity/principal.h"
#include "gateway/identity/quota_names.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Whom a token speaks for, and until when that holds.
struct TokenHolder {
  Principal principal;
  absl::Time until;
};

// Reads the claims of tokens whose signature holds (RFC 7519, section 4.1), as the configuration
// names them. Immutable.
class TokenClaims {
 public:
  // INVALID_ARGUMENT names the field of `identity.jwt`.
  static absl::StatusOr<TokenClaims> Create(const config::v1::Jwt& config, QuotaNames quotas);

  // UNAUTHENTICATED names the claim that is missing, wrong or not of its time, and nothing of what
  // stands in it.
  absl::StatusOr<TokenHolder> Read(absl::string_view payload, absl::Time now) const;

 private:
  TokenClaims() = default;

  std::string issuer_;
  std::vector<std::string> audiences_;
  absl::Duration leeway_;
  config::v1::JwtClaims names_;
  QuotaNames quotas_;
};

}  // namespace penstock::gateway
