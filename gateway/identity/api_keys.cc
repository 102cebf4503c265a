#include "gateway/identity/api_keys.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

constexpr size_t kDigestDigits = 2 * sizeof(Sha256Digest);
// So much of a digest tells keys apart in the audit and helps nobody to find the key.
constexpr size_t kNamedDigits = 8;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

absl::StatusOr<Sha256Digest> ReadDigest(const std::string& where, absl::string_view hex) {
  if (hex.size() != kDigestDigits || !IsHex(hex)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, "sha256: wanted 64 hex digits, got ", hex.size(), " characters"));
  }
  const std::string bytes = absl::HexStringToBytes(hex);
  Sha256Digest digest;
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

absl::Status CheckName(const std::string& where, absl::string_view field, absl::string_view name) {
  if (CanTravel(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, field, ": wanted printable ASCII without space or comma, got '",
                   absl::CHexEscape(name), "'"));
}

absl::StatusOr<Principal> ReadPrincipal(const std::string& where, const config::v1::ApiKey& key,
                                        const QuotaNames& quotas) {
  PENSTOCK_RETURN_IF_ERROR(CheckName(where, "tenant", key.tenant()));
  for (const std::string& pool : key.pools()) {
    PENSTOCK_RETURN_IF_ERROR(CheckName(where, "pools", pool));
  }
  if (key.has_priority() && key.priority() > kLowestPriority) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, "priority: wanted 0 to 9, got ", key.priority()));
  }
  if (!key.quota().empty() && !quotas.contains(key.quota())) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, "quota: identity.quotas has no '", key.quota(), "'"));
  }
  Principal principal;
  principal.tenant = key.tenant();
  principal.rights.pools.assign(key.pools().begin(), key.pools().end());
  principal.rights.forced_experts = key.forced_experts();
  principal.rights.admin = key.admin();
  if (const size_t bytes = principal.rights.ToMetadata().size(); bytes > kMaxRightsBytes) {
    return absl::InvalidArgumentError(absl::StrCat(where, "pools: wanted at most ", kMaxRightsBytes,
                                                   " bytes in all, got ", bytes));
  }
  if (key.has_priority()) principal.priority = key.priority();
  principal.quota = key.quota();
  if (principal.quota.empty() && quotas.contains(kDefaultQuota)) principal.quota = kDefaultQuota;
  principal.credential =
      absl::StrCat("key:", absl::AsciiStrToLower(key.sha256().substr(0, kNamedDigits)));
  return principal;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const ApiKeys>> ApiKeys::Create(const config::v1::ApiKeys& config,
                                                               const QuotaNames& quotas) {
  if (config.keys().empty()) return absl::InvalidArgumentError("keys: none is listed");
  auto keys = std::unique_ptr<ApiKeys>(new ApiKeys());
  for (int i = 0; i < config.keys_size(); ++i) {
    const config::v1::ApiKey& key = config.keys(i);
    const std::string where = absl::StrCat("keys[", i, "].");
    PENSTOCK_ASSIGN_OR_RETURN(const Sha256Digest digest, ReadDigest(where, key.sha256()));
    Entry entry;
    PENSTOCK_ASSIGN_OR_RETURN(entry.principal, ReadPrincipal(where, key, quotas));
    if (!key.not_after().empty() &&
        !absl::ParseTime(absl::RFC3339_full, key.not_after(), &entry.not_after, nullptr)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, "not_after: wanted a time such as 2027-01-31T00:00:00Z, got '",
                       key.not_after(), "'"));
    }
    if (!keys->by_digest_.emplace(digest, std::move(entry)).second) {
      return absl::InvalidArgumentError(absl::StrCat(where, "sha256: stands there twice"));
    }
  }
  return keys;
}

absl::StatusOr<Principal> ApiKeys::Find(absl::string_view key, absl::Time now) const {
  const auto it = by_digest_.find(Sha256(key));
  if (it == by_digest_.end()) return absl::UnauthenticatedError("authorization: unknown key");
  if (now >= it->second.not_after) {
    return absl::UnauthenticatedError("authorization: the key is past its not_after");
  }
  return it->second.principal;
}

}  // namespace penstock::gateway
