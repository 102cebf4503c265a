#include "gateway/identity/json_web_keys.h"

#include <cjose/cjose.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {
namespace {

using Json = nlohmann::json;

// More keys than any provider has in use at once.
constexpr size_t kMaxKeys = 1000;
// RFC 7518, sections 3.3 and 3.5.
constexpr size_t kLeastRsaBits = 2048;

// The signatures that are taken (RFC 7518, section 3.1). Each belongs to one type of key and, for
// elliptic curves, to one curve, so that a token cannot have a key misread as another kind's.
struct Algorithm {
  absl::string_view name;
  cjose_jwk_kty_t type;
  cjose_jwk_ec_curve curve;  // CJOSE_JWK_EC_INVALID: RSA
};
constexpr std::array<Algorithm, 9> kAlgorithms = {{
    {"RS256", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"RS384", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"RS512", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS256", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS384", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS512", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"ES256", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_256},
    {"ES384", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_384},
    {"ES512", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_521},
}};

const Algorithm* FindAlgorithm(absl::string_view name) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

struct ReleaseJwk {
  void operator()(cjose_jwk_t* jwk) const { cjose_jwk_release(jwk); }
};
struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};

// The thread's queue of OpenSSL errors is shared with TLS, which takes what it finds there for its
// own.
struct ClearErrors {
  ~ClearErrors() { ERR_clear_error(); }
};

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("token: ", why));
}

// Three parts of base64url without padding, divided by dots; the last one is not empty.
bool IsCompactForm(absl::string_view token) {
  const bool alphabet = std::all_of(token.begin(), token.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  });
  return alphabet && std::count(token.begin(), token.end(), '.') == 2 && token.front() != '.' &&
         token.back() != '.';
}

// A string member, or nothing where it is absent. INVALID_ARGUMENT: it is something else.
absl::StatusOr<std::optional<std::string>> StringMember(const Json& key, const std::string& where,
                                                        const char* name) {
  const auto it = key.find(name);
  if (it == key.end()) return std::optional<std::string>();
  if (!it->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".", name, ": wanted a string"));
  }
  return std::optional<std::string>(it->get<std::string>());
}

bool MayVerify(const Json& key, const std::optional<std::string>& use) {
  if (use.has_value() && *use != "sig") return false;
  const auto operations = key.find("key_ops");
  if (operations == key.end()) return true;
  return operations->is_array() &&
         std::find(operations->begin(), operations->end(), "verify") != operations->end();
}

}  // namespace

struct JsonWebKeys::Key {
  bool Takes(const Algorithm& algorithm) const {
    return algorithm.type == type && algorithm.curve == curve &&
           (only_algorithm.empty() || only_algorithm == algorithm.name);
  }

  std::unique_ptr<cjose_jwk_t, ReleaseJwk> jwk;
  cjose_jwk_kty_t type = CJOSE_JWK_KTY_RSA;
  cjose_jwk_ec_curve curve = CJOSE_JWK_EC_INVALID;
  std::string only_algorithm;  // the key's own `alg`; empty: all of its type
};

JsonWebKeys::JsonWebKeys() = default;
JsonWebKeys::~JsonWebKeys() = default;

absl::StatusOr<std::unique_ptr<const JsonWebKeys>> JsonWebKeys::Parse(absl::string_view text) {
  const ClearErrors clear;
  const Json set = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!set.is_object() || !set.contains("keys") || !set["keys"].is_array()) {
    return absl::InvalidArgumentError("wanted a JSON object with a list `keys`");
  }
  if (set["keys"].size() > kMaxKeys) {
    return absl::InvalidArgumentError(
        absl::StrCat("keys: wanted at most ", kMaxKeys, ", got ", set["keys"].size()));
  }
  auto keys = std::unique_ptr<JsonWebKeys>(new JsonWebKeys());
  int index = -1;
  for (const Json& member : set["keys"]) {
    const std::string where = absl::StrCat("keys[", ++index, "]");
    if (!member.is_object()) return absl::InvalidArgumentError(where + ": wanted an object");
    if (member.contains("d")) {
      return absl::InvalidArgumentError(where + ": is a private key; wanted its public part alone");
    }
    PENSTOCK_ASSIGN_OR_RETURN(const auto type, StringMember(member, where, "kty"));
    PENSTOCK_ASSIGN_OR_RETURN(const auto kid, StringMember(member, where, "kid"));
    PENSTOCK_ASSIGN_OR_RETURN(const auto use, StringMember(member, where, "use"));
    PENSTOCK_ASSIGN_OR_RETURN(const auto algorithm, StringMember(member, where, "alg"));
    PENSTOCK_ASSIGN_OR_RETURN(const auto curve, StringMember(member, where, "crv"));
    if (type != "RSA" && type != "EC") continue;
    if (type == "EC" && curve != "P-256" && curve != "P-384" && curve != "P-521") continue;
    if (!kid.has_value() || kid->empty() || !MayVerify(member, use)) continue;
    if (algorithm.has_value() && FindAlgorithm(*algorithm) == nullptr) continue;

    auto key = std::make_unique<Key>();
    const std::string json = member.dump();
    cjose_err error{};
    key->jwk.reset(cjose_jwk_import(json.data(), json.size(), &error));
    if (key->jwk == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": no ", *type, " public key in it"));
    }
    key->type = cjose_jwk_get_kty(key->jwk.get(), &error);
    if (key->type == CJOSE_JWK_KTY_EC) {
      key->curve = cjose_jwk_EC_get_curve(key->jwk.get(), &error);
    } else if (const size_t bits = cjose_jwk_get_keysize(key->jwk.get(), &error);
               bits < kLeastRsaBits) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": wanted at least ", kLeastRsaBits, " bits, got ", bits));
    }
    key->only_algorithm = algorithm.value_or("");
    if (!keys->by_kid_.emplace(*kid, std::move(key)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".kid: '", *kid, "' stands there twice"));
    }
  }
  if (keys->by_kid_.empty()) {
    return absl::InvalidArgumentError(
        "keys: none has a kid and is an RSA or EC key for signatures");
  }
  return keys;
}

absl::StatusOr<std::string> JsonWebKeys::Verify(absl::string_view token) const {
  if (!IsCompactForm(token)) return Refused("wanted three parts of base64url with dots between");
  const ClearErrors clear;
  cjose_err error{};
  // Refuses `none` and whatever else it does not know too; the messages here say it better.
  const std::unique_ptr<cjose_jws_t, ReleaseJws> jws(
      cjose_jws_import(token.data(), token.size(), &error));
  if (jws == nullptr) {
    return Refused("wanted a header with a known alg, a payload and a signature in base64url");
  }
  // One reader of the header, the one that verifies: two that differ could be played against each
  // other.
  cjose_header_t* const header = cjose_jws_get_protected(jws.get());
  const char* const name = cjose_header_get(header, CJOSE_HDR_ALG, &error);
  const Algorithm* const algorithm = name == nullptr ? nullptr : FindAlgorithm(name);
  if (algorithm == nullptr) return Refused("alg: is none that is taken");
  // Extensions that must be understood; we know none (RFC 7515, section 4.1.11).
  if (const std::unique_ptr<char, decltype(&std::free)> critical(
          cjose_header_get_raw(header, "crit", &error), &std::free);
      critical != nullptr) {
    return Refused("crit: no extension is understood");
  }
  const char* const kid = cjose_header_get(header, CJOSE_HDR_KID, &error);
  if (kid == nullptr) return Refused("kid: wanted the name of the key that signed it");
  const auto key = by_kid_.find(absl::string_view(kid));
  if (key == by_kid_.end()) return Refused("kid: unknown key");
  if (!key->second->Takes(*algorithm)) return Refused("alg: does not fit the key");
  if (!cjose_jws_verify(jws.get(), key->second->jwk.get(), &error)) {
    return Refused("the signature does not verify");
  }
  uint8_t* payload = nullptr;
  size_t size = 0;
  if (!cjose_jws_get_plaintext(jws.get(), &payload, &size, &error))
    return Refused("has no payload");
  return std::string(reinterpret_cast<const char*>(payload), size);
}

}  // namespace penstock::gateway
