#include "gateway/identity/token_claims.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kDefaultLeeway = absl::Seconds(30);
constexpr absl::Duration kLongestLeeway = absl::Minutes(5);
constexpr size_t kMaxNameBytes = 256;
// Seconds since 1970 that absl::Time takes without overflow; the year 33658.
constexpr double kLastSecond = 1e12;

absl::Status Refused(absl::string_view claim, absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("token: ", claim, ": ", why));
}

// The claim of that name or at that path (`/realm_access/roles`); null: there is none.
const Json* FindClaim(const Json& claims, absl::string_view name) {
  if (name.empty()) return nullptr;
  std::vector<std::string> path = {std::string(name)};
  if (name.front() == '/') {
    path = absl::StrSplit(name.substr(1), '/');
    for (std::string& part : path) {
      part = absl::StrReplaceAll(absl::StrReplaceAll(part, {{"~1", "/"}}), {{"~0", "~"}});
    }
  }
  const Json* at = &claims;
  for (const std::string& part : path) {
    if (at->is_array()) {
      size_t index = 0;
      if (!absl::SimpleAtoi(part, &index) || index >= at->size()) return nullptr;
      at = &(*at)[index];
      continue;
    }
    if (!at->is_object()) return nullptr;
    const auto member = at->find(part);
    if (member == at->end()) return nullptr;
    at = &*member;
  }
  return at;
}

// Words of a list of strings, or of one string with spaces. Nothing: it is something else.
std::optional<std::vector<std::string>> Words(const Json& claim) {
  if (claim.is_string()) {
    return std::vector<std::string>(
        absl::StrSplit(claim.get_ref<const std::string&>(), ' ', absl::SkipEmpty()));
  }
  if (!claim.is_array()) return std::nullopt;
  std::vector<std::string> words;
  for (const Json& word : claim) {
    if (!word.is_string()) return std::nullopt;
    words.push_back(word.get<std::string>());
  }
  return words;
}

// A NumericDate. Nothing: it is absent.
absl::StatusOr<std::optional<absl::Time>> ReadTime(const Json& claims, const char* name) {
  const Json* const claim = FindClaim(claims, name);
  if (claim == nullptr) return std::optional<absl::Time>();
  if (!claim->is_number()) return Refused(name, "wanted seconds since 1970");
  const double seconds = claim->get<double>();
  if (!(seconds >= 0 && seconds <= kLastSecond)) return Refused(name, "is out of range");
  return std::optional<absl::Time>(absl::UnixEpoch() + absl::Seconds(seconds));
}

bool HoldsOne(const std::vector<std::string>& words, const std::vector<std::string>& wanted) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(wanted.begin(), wanted.end(), word) != wanted.end();
  });
}

absl::Status CheckClaimName(const char* field, absl::string_view name) {
  if (name.size() <= kMaxNameBytes && name != "/") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("identity.jwt.claims.", field, ": wanted a claim's name or a path such as ",
                   "/realm_access/roles, at most ", kMaxNameBytes, " bytes"));
}

}  // namespace

absl::StatusOr<TokenClaims> TokenClaims::Create(const config::v1::Jwt& config, QuotaNames quotas) {
  if (config.issuer().empty()) {
    return absl::InvalidArgumentError(
        "identity.jwt.issuer: wanted what `iss` must be, got nothing");
  }
  if (config.audiences().empty()) {
    return absl::InvalidArgumentError("identity.jwt.audiences: wanted at least one, got none");
  }
  TokenClaims claims;
  claims.leeway_ = kDefaultLeeway;
  if (config.has_leeway()) {
    claims.leeway_ =
        absl::Seconds(config.leeway().seconds()) + absl::Nanoseconds(config.leeway().nanos());
    if (claims.leeway_ < absl::ZeroDuration() || claims.leeway_ > kLongestLeeway) {
      return absl::InvalidArgumentError(absl::StrCat("identity.jwt.leeway: wanted 0 s to ",
                                                     absl::FormatDuration(kLongestLeeway), ", got ",
                                                     absl::FormatDuration(claims.leeway_)));
    }
  }
  claims.issuer_ = config.issuer();
  claims.audiences_.assign(config.audiences().begin(), config.audiences().end());
  claims.names_ = config.claims();
  config::v1::JwtClaims& names = claims.names_;
  PENSTOCK_RETURN_IF_ERROR(CheckClaimName("tenant", names.tenant()));
  PENSTOCK_RETURN_IF_ERROR(CheckClaimName("pools", names.pools()));
  PENSTOCK_RETURN_IF_ERROR(CheckClaimName("rights", names.rights()));
  PENSTOCK_RETURN_IF_ERROR(CheckClaimName("priority", names.priority()));
  PENSTOCK_RETURN_IF_ERROR(CheckClaimName("quota", names.quota()));
  if (names.tenant().empty()) names.set_tenant("sub");
  if (names.forced_experts_word().empty()) names.set_forced_experts_word("penstock:forced_experts");
  if (names.admin_word().empty()) names.set_admin_word("penstock:admin");
  claims.quotas_ = std::move(quotas);
  return claims;
}

absl::StatusOr<TokenHolder> TokenClaims::Read(absl::string_view payload, absl::Time now) const {
  const Json claims = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!claims.is_object()) return Refused("payload", "wanted a JSON object of claims");

  const Json* const issuer = FindClaim(claims, "iss");
  if (issuer == nullptr || !issuer->is_string() ||
      issuer->get_ref<const std::string&>() != issuer_) {
    return Refused("iss", "is not the issuer that is trusted");
  }
  const Json* const audience = FindClaim(claims, "aud");
  // One string is one audience, blanks and all.
  std::optional<std::vector<std::string>> audiences;
  if (audience != nullptr && audience->is_string()) {
    audiences.emplace({audience->get<std::string>()});
  } else if (audience != nullptr) {
    audiences = Words(*audience);
  }
  if (!audiences.has_value() || !HoldsOne(*audiences, audiences_)) {
    return Refused("aud", "is not this service");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto expires, ReadTime(claims, "exp"));
  PENSTOCK_ASSIGN_OR_RETURN(const auto begins, ReadTime(claims, "nbf"));
  PENSTOCK_ASSIGN_OR_RETURN(const auto issued, ReadTime(claims, "iat"));
  if (!expires.has_value()) return Refused("exp", "is missing");
  TokenHolder holder;
  holder.until = *expires + leeway_;
  if (now >= holder.until) return Refused("exp", "the token has expired");
  if (begins.has_value() && now < *begins - leeway_) return Refused("nbf", "it is not valid yet");
  if (issued.has_value() && now < *issued - leeway_) return Refused("iat", "lies in the future");

  Principal& principal = holder.principal;
  const Json* const tenant = FindClaim(claims, names_.tenant());
  if (tenant == nullptr || !tenant->is_string() ||
      !CanTravel(tenant->get_ref<const std::string&>()) ||
      tenant->get_ref<const std::string&>().size() > kMaxNameBytes) {
    return Refused(names_.tenant(), "wanted a tenant of printable ASCII without space or comma");
  }
  principal.tenant = tenant->get<std::string>();
  const Json* const subject = FindClaim(claims, "sub");
  principal.credential =
      subject != nullptr && subject->is_string() &&
              subject->get_ref<const std::string&>().size() <= kMaxNameBytes
          ? absl::StrCat("token:", absl::CHexEscape(subject->get_ref<const std::string&>()))
          : "token";

  if (!names_.pools().empty()) {
    const Json* const pools = FindClaim(claims, names_.pools());
    const auto words = pools == nullptr ? std::nullopt : Words(*pools);
    // No pool would mean every pool to the hops behind.
    if (!words.has_value() || words->empty()) {
      return Refused(names_.pools(), "wanted the names of pools, at least one");
    }
    if (!std::all_of(words->begin(), words->end(), CanTravel)) {
      return Refused(names_.pools(), "wanted pools of printable ASCII without space or comma");
    }
    principal.rights.pools = *words;
    if (principal.rights.ToMetadata().size() > kMaxRightsBytes) {
      return Refused(names_.pools(), "wanted fewer pools");
    }
  }
  if (const Json* const rights = FindClaim(claims, names_.rights()); rights != nullptr) {
    const auto words = Words(*rights);
    if (!words.has_value()) return Refused(names_.rights(), "wanted a list of words, or words");
    principal.rights.forced_experts = HoldsOne(*words, {names_.forced_experts_word()});
    principal.rights.admin = HoldsOne(*words, {names_.admin_word()});
  }
  if (const Json* const priority = FindClaim(claims, names_.priority()); priority != nullptr) {
    if (!priority->is_number_unsigned() || priority->get<uint64_t>() > kLowestPriority) {
      return Refused(names_.priority(), "wanted 0 to 9");
    }
    principal.priority = priority->get<uint32_t>();
  }
  if (quotas_.contains(kDefaultQuota)) principal.quota = kDefaultQuota;
  if (const Json* const quota = FindClaim(claims, names_.quota()); quota != nullptr) {
    if (!quota->is_string() || !quotas_.contains(quota->get_ref<const std::string&>())) {
      return Refused(names_.quota(), "wanted the name of a quota that is configured");
    }
    principal.quota = quota->get<std::string>();
  }
  return holder;
}

}  // namespace penstock::gateway
