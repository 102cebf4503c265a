#include "gateway/identity/authenticator.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

// Longer than any key or token of ours; bounds what is hashed for a stranger.
constexpr size_t kMaxCredentialBytes = 65536 + 16;

absl::Status InFile(const WatchedFile& file, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(
    const config::v1::Identity& config, const Clock& clock, Observer* observer) {
  auto authenticator = std::unique_ptr<Authenticator>(new Authenticator(clock, observer));
  for (const auto& [name, quota] : config.quotas()) authenticator->quotas_.insert(name);
  if (config.has_jwt()) {
    PENSTOCK_ASSIGN_OR_RETURN(authenticator->tokens_,
                              TokenVerifier::Create(config.jwt(), authenticator->quotas_));
    authenticator->jwks_file_.emplace(config.jwt().jwks_file());
    PENSTOCK_RETURN_IF_ERROR(authenticator->ReadJwksFile(*authenticator->jwks_file_->Changed()));
  }
  if (!config.api_keys_file().empty()) {
    authenticator->keys_file_.emplace(config.api_keys_file());
    PENSTOCK_RETURN_IF_ERROR(authenticator->ReadKeysFile(*authenticator->keys_file_->Changed()));
  }
  authenticator->open_ = !authenticator->has_files();
  authenticator->anonymous_admin_ = config.anonymous_admin();
  return authenticator;
}

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::FromKeys(
    const config::v1::ApiKeys& keys, const Clock& clock) {
  auto authenticator = std::unique_ptr<Authenticator>(new Authenticator(clock, nullptr));
  PENSTOCK_RETURN_IF_ERROR(authenticator->TakeKeys(keys));
  return authenticator;
}

absl::Status Authenticator::TakeKeys(const config::v1::ApiKeys& keys) {
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const ApiKeys> taken, ApiKeys::Create(keys, quotas_));
  MutexLock lock(mutex_);
  keys_.swap(taken);
  return absl::OkStatus();
}

absl::Status Authenticator::ReadKeysFile(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  config::v1::ApiKeys keys;
  if (const absl::Status status = ReadYaml(*text, keys); !status.ok()) {
    return InFile(*keys_file_, status);
  }
  return InFile(*keys_file_, TakeKeys(keys));
}

absl::Status Authenticator::ReadJwksFile(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  return InFile(*jwks_file_, tokens_->SetKeys(*text));
}

void Authenticator::Reload() {
  if (keys_file_.has_value()) {
    if (const auto text = keys_file_->Changed()) {
      const absl::Status status = ReadKeysFile(*text);
      if (observer_ != nullptr) observer_->CredentialsRead("api_keys", status);
    }
  }
  if (jwks_file_.has_value()) {
    if (const auto text = jwks_file_->Changed()) {
      const absl::Status status = ReadJwksFile(*text);
      if (observer_ != nullptr) observer_->CredentialsRead("jwks", status);
    }
  }
}

absl::StatusOr<Principal> Authenticator::Authenticate(absl::string_view authorization) const {
  if (open_) {
    Principal anonymous;
    anonymous.tenant = kAnonymousTenant;
    anonymous.rights.forced_experts = true;
    anonymous.rights.admin = anonymous_admin_;
    if (quotas_.contains(kDefaultQuota)) anonymous.quota = kDefaultQuota;
    anonymous.credential = "none";
    return anonymous;
  }
  constexpr absl::string_view kScheme = "bearer ";
  if (authorization.empty()) {
    return absl::UnauthenticatedError(
        "no credentials: wanted metadata `authorization: Bearer KEY-or-TOKEN`");
  }
  if (authorization.size() > kMaxCredentialBytes ||
      !absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return absl::UnauthenticatedError("authorization: wanted `Bearer KEY-or-TOKEN`");
  }
  const absl::string_view credential =
      absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
  const absl::Time now = clock_.Now();
  std::shared_ptr<const ApiKeys> keys;
  {
    MutexLock lock(mutex_);
    keys = keys_;
  }
  const bool is_token = tokens_ != nullptr && TokenVerifier::LooksLikeToken(credential);
  if (keys != nullptr) {
    absl::StatusOr<Principal> principal = keys->Find(credential, now);
    // A key may look like a token; a token is no key.
    if (principal.ok() || !is_token) return principal;
  }
  if (!is_token) return absl::UnauthenticatedError("authorization: wanted a signed token");
  return tokens_->Verify(credential, now);
}

absl::Status Authenticator::CheckPool(const Principal& principal, absl::string_view pool) {
  if (pool.empty() || principal.rights.MayCall(pool)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("tenant ", principal.tenant, " may not call pool ", pool));
}

absl::StatusOr<Principal> Authenticator::Admit(const Metadata& metadata,
                                               absl::string_view pool) const {
  absl::StatusOr<Principal> principal = Authenticate(FindMetadata(metadata, "authorization"));
  if (!principal.ok()) return principal;
  PENSTOCK_RETURN_IF_ERROR(CheckPool(*principal, pool));
  return principal;
}

}  // namespace penstock::gateway
