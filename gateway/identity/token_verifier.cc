#include "gateway/identity/token_verifier.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

constexpr uint32_t kDefaultTokenBytes = 8192;
constexpr uint32_t kLeastTokenBytes = 256;
constexpr uint32_t kMostTokenBytes = 65536;
constexpr uint32_t kDefaultCachedTokens = 10'000;
constexpr uint32_t kMostCachedTokens = 1'000'000;

}  // namespace

absl::StatusOr<std::unique_ptr<TokenVerifier>> TokenVerifier::Create(const config::v1::Jwt& config,
                                                                     QuotaNames quotas) {
  if (config.jwks_file().empty()) {
    return absl::InvalidArgumentError("identity.jwt.jwks_file: is empty");
  }
  const uint32_t max_bytes =
      config.has_max_token_bytes() ? config.max_token_bytes() : kDefaultTokenBytes;
  if (max_bytes < kLeastTokenBytes || max_bytes > kMostTokenBytes) {
    return absl::InvalidArgumentError(absl::StrCat("identity.jwt.max_token_bytes: wanted ",
                                                   kLeastTokenBytes, " to ", kMostTokenBytes,
                                                   ", got ", max_bytes));
  }
  const uint32_t capacity =
      config.has_cached_tokens() ? config.cached_tokens() : kDefaultCachedTokens;
  if (capacity > kMostCachedTokens) {
    return absl::InvalidArgumentError(absl::StrCat("identity.jwt.cached_tokens: wanted 0 to ",
                                                   kMostCachedTokens, ", got ", capacity));
  }
  PENSTOCK_ASSIGN_OR_RETURN(TokenClaims claims, TokenClaims::Create(config, std::move(quotas)));
  return std::unique_ptr<TokenVerifier>(new TokenVerifier(std::move(claims), max_bytes, capacity));
}

absl::Status TokenVerifier::SetKeys(absl::string_view jwks) {
  PENSTOCK_ASSIGN_OR_RETURN(auto keys, JsonWebKeys::Parse(jwks));
  auto trusted = std::make_shared<Trusted>(std::move(keys), capacity_);
  MutexLock lock(mutex_);
  trusted_.swap(trusted);
  return absl::OkStatus();
}

bool TokenVerifier::LooksLikeToken(absl::string_view credential) {
  return std::count(credential.begin(), credential.end(), '.') == 2;
}

absl::StatusOr<Principal> TokenVerifier::Verify(absl::string_view token, absl::Time now) const {
  if (token.size() > max_bytes_) {
    return absl::UnauthenticatedError(
        absl::StrCat("token: wanted at most ", max_bytes_, " bytes, got ", token.size()));
  }
  std::shared_ptr<Trusted> trusted;
  {
    MutexLock lock(mutex_);
    trusted = trusted_;
  }
  if (trusted == nullptr) return absl::UnauthenticatedError("token: kid: unknown key");
  const Sha256Digest digest = Sha256(token);
  if (std::optional<Principal> known = trusted->cache.Find(digest, now)) return *std::move(known);
  PENSTOCK_ASSIGN_OR_RETURN(const std::string payload, trusted->keys->Verify(token));
  PENSTOCK_ASSIGN_OR_RETURN(TokenHolder holder, claims_.Read(payload, now));
  Principal principal = holder.principal;
  trusted->cache.Keep(digest, std::move(holder));
  return principal;
}

}  // namespace penstock::gateway
