#include "gateway/identity/authenticator.h"

#include <openssl/sha.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

constexpr size_t kSha256Digits = 2 * SHA256_DIGEST_LENGTH;
constexpr uint32_t kLowestPriority = 9;
// Longer than any key or JWT of ours; bounds what is hashed for a stranger.
constexpr size_t kMaxCredentialBytes = 8192;

std::string Sha256(absl::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// Names travel in metadata, where gRPC takes printable ASCII only; a comma would start another right.
bool CanTravel(absl::string_view name) {
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == ',') return false;
  }
  return !name.empty();
}

bool IsHex(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(
    const config::v1::Identity& config) {
  if (config.api_keys_file().empty()) {
    auto anonymous = std::unique_ptr<Authenticator>(new Authenticator());
    anonymous->open_ = true;
    anonymous->anonymous_admin_ = config.anonymous_admin();
    return anonymous;
  }
  config::v1::ApiKeys keys;
  PENSTOCK_RETURN_IF_ERROR(ReadYamlFile(config.api_keys_file(), keys));
  auto created = FromKeys(keys);
  if (!created.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(config.api_keys_file(), ": ", created.status().message()));
  }
  return created;
}

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::FromKeys(
    const config::v1::ApiKeys& keys) {
  if (keys.keys().empty()) return absl::InvalidArgumentError("keys: none is listed");
  auto authenticator = std::unique_ptr<Authenticator>(new Authenticator());
  for (int i = 0; i < keys.keys_size(); ++i) {
    const config::v1::ApiKey& key = keys.keys(i);
    const std::string where = absl::StrCat("keys[", i, "].");
    if (key.sha256().size() != kSha256Digits || !IsHex(key.sha256())) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "sha256: wanted 64 hex digits, got ", key.sha256().size(),
                       " characters"));
    }
    if (!CanTravel(key.tenant())) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "tenant: wanted printable ASCII without space or comma, got '",
                       key.tenant(), "'"));
    }
    for (const std::string& pool : key.pools()) {
      if (!CanTravel(pool)) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, "pools: wanted printable ASCII without space or comma, got '", pool,
                         "'"));
      }
    }
    if (key.has_priority() && key.priority() > kLowestPriority) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "priority: wanted 0 to 9, got ", key.priority()));
    }
    Principal principal;
    principal.tenant = key.tenant();
    principal.rights.pools.assign(key.pools().begin(), key.pools().end());
    principal.rights.forced_experts = key.forced_experts();
    principal.rights.admin = key.admin();
    if (key.has_priority()) principal.priority = key.priority();
    const bool inserted =
        authenticator->by_sha256_
            .emplace(absl::HexStringToBytes(key.sha256()), std::move(principal))
            .second;
    if (!inserted) {
      return absl::InvalidArgumentError(absl::StrCat(where, "sha256: stands there twice"));
    }
  }
  return authenticator;
}

absl::StatusOr<Principal> Authenticator::Authenticate(absl::string_view authorization) const {
  if (open_) {
    Principal anonymous;
    anonymous.tenant = kAnonymousTenant;
    anonymous.rights.forced_experts = true;
    anonymous.rights.admin = anonymous_admin_;
    return anonymous;
  }
  constexpr absl::string_view kScheme = "bearer ";
  if (authorization.empty()) {
    return absl::UnauthenticatedError("no credentials: wanted metadata `authorization: Bearer KEY`");
  }
  if (authorization.size() > kMaxCredentialBytes ||
      !absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return absl::UnauthenticatedError("authorization: wanted `Bearer KEY`");
  }
  const absl::string_view key =
      absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
  // Looked up by digest: how long a comparison takes says nothing about the keys.
  const auto it = by_sha256_.find(Sha256(key));
  if (it == by_sha256_.end()) return absl::UnauthenticatedError("authorization: unknown key");
  return it->second;
}

absl::StatusOr<Principal> Authenticator::Admit(const Metadata& metadata,
                                               absl::string_view pool) const {
  absl::StatusOr<Principal> principal = Authenticate(FindMetadata(metadata, "authorization"));
  if (principal.ok() && !pool.empty() && !principal->rights.MayCall(pool)) {
    return absl::PermissionDeniedError(
        absl::StrCat("tenant ", principal->tenant, " may not call pool ", pool));
  }
  return principal;
}

}  // namespace penstock::gateway
