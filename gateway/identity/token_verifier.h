#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/identity/json_web_keys.h"
#include "gateway/identity/token_cache.h"
#include "gateway/identity/token_claims.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Whom a JSON Web Token speaks for. Thread-safe.
class TokenVerifier {
 public:
  // INVALID_ARGUMENT names the field of `identity.jwt`. Knows no keys yet: refuses every token.
  static absl::StatusOr<std::unique_ptr<TokenVerifier>> Create(const config::v1::Jwt& config,
                                                               QuotaNames quotas);

  // Takes the keys of a JWKS document and forgets what was verified with others. On errors those it
  // has stay.
  absl::Status SetKeys(absl::string_view jwks);
  // UNAUTHENTICATED says what is wrong, and nothing of what came.
  absl::StatusOr<Principal> Verify(absl::string_view token, absl::Time now) const;

  // Whether `credential` has a token's outer form; API keys may be anything else.
  static bool LooksLikeToken(absl::string_view credential);

 private:
  // What was verified holds for the keys it was verified with.
  struct Trusted {
    Trusted(std::unique_ptr<const JsonWebKeys> with, size_t capacity)
        : keys(std::move(with)), cache(capacity) {}
    const std::unique_ptr<const JsonWebKeys> keys;
    TokenCache cache;
  };

  TokenVerifier(TokenClaims claims, size_t max_bytes, size_t capacity)
      : claims_(std::move(claims)), max_bytes_(max_bytes), capacity_(capacity) {}

  const TokenClaims claims_;
  const size_t max_bytes_;
  const size_t capacity_;
  mutable Mutex mutex_;
  std::shared_ptr<Trusted> trusted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
