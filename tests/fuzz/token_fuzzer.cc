#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/identity/json_web_keys.h"
#include "gateway/identity/token_claims.h"

namespace {

using penstock::gateway::JsonWebKeys;
using penstock::gateway::TokenClaims;

// The public key of RFC 7515, appendix A.3, whose private one the fuzzer does not find.
constexpr char kJwks[] = R"({"keys":[{"kty":"EC","crv":"P-256","kid":"k",
  "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";

void Check(bool condition) {
  if (!condition) std::abort();
}

std::string Base64Url(absl::string_view bytes) {
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

TokenClaims MakeClaims() {
  penstock::config::v1::Jwt config;
  config.set_issuer("i");
  config.add_audiences("a");
  config.mutable_claims()->set_pools("p");
  config.mutable_claims()->set_rights("/r/s");
  config.mutable_claims()->set_priority("n");
  config.mutable_claims()->set_quota("q");
  return *TokenClaims::Create(config, {"default", "gold"});
}

}  // namespace

// The first byte chooses what the rest is: a token, a token's header, claims whose signature holds,
// or a set of keys.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<const JsonWebKeys>& keys =
      *new std::unique_ptr<const JsonWebKeys>(*JsonWebKeys::Parse(kJwks));
  static const TokenClaims& claims = *new TokenClaims(MakeClaims());
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      Check(absl::IsUnauthenticated(keys->Verify(text).status()));
      break;
    case 1:
      Check(absl::IsUnauthenticated(
          keys->Verify(absl::StrCat(Base64Url(text), ".e30.", std::string(86, 'A'))).status()));
      break;
    case 2: {
      const auto holder = claims.Read(text, absl::FromUnixSeconds(1'000'000));
      if (!holder.ok()) {
        Check(absl::IsUnauthenticated(holder.status()) && !holder.status().message().empty());
        break;
      }
      // Whoever is let in can travel, and is never without a pool: none would be all of them.
      const penstock::gateway::Principal& principal = holder->principal;
      Check(penstock::gateway::CanTravel(principal.tenant));
      Check(!principal.rights.pools.empty() && principal.priority <= 9);
      Check(penstock::CallerRights::FromMetadata(principal.rights.ToMetadata()).ToMetadata() ==
            principal.rights.ToMetadata());
      break;
    }
    default: {
      const auto parsed = JsonWebKeys::Parse(text);
      Check(parsed.ok() ? (*parsed)->size() > 0 : absl::IsInvalidArgument(parsed.status()));
    }
  }
  return 0;
}
