#include "gateway/identity/authenticator.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gateway/identity/test_tokens.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// SHA-256 of "abc": FIPS 180-4's own example, and of "def".
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kDef[] = "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34";

struct Readings final : Authenticator::Observer {
  void CredentialsRead(absl::string_view file, const absl::Status& status) override {
    seen.emplace_back(std::string(file), status.ok());
  }
  std::vector<std::pair<std::string, bool>> seen;
};

std::string KeyFile(const std::string& sha256, const std::string& tenant) {
  return absl::StrCat("keys: [{sha256: ", sha256, ", tenant: ", tenant, "}]\n");
}

class AuthenticatorTest : public ::testing::Test {
 protected:
  std::unique_ptr<Authenticator> Make(const config::v1::Identity& config) {
    auto created = Authenticator::Create(config, clock_, &readings_);
    EXPECT_TRUE(created.ok()) << created.status();
    return *std::move(created);
  }
  config::v1::Identity WithKeys() {
    config::v1::Identity config;
    config.set_api_keys_file(dir_.Write("keys.yaml", KeyFile(kAbc, "team")));
    return config;
  }
  void AddJwt(config::v1::Identity& config) {
    config.mutable_jwt()->set_jwks_file(dir_.Write("jwks.json", Jwks({key_.Public()})));
    config.mutable_jwt()->set_issuer("issuer");
    config.mutable_jwt()->add_audiences("penstock");
  }
  std::string Token(const SigningKey& key, const std::string& tenant) const {
    return key.Sign(
        absl::StrCat(R"({"iss":"issuer","aud":"penstock","exp":1000060,"sub":")", tenant, "\"}"));
  }

  const TempDir dir_;
  FakeClock clock_;
  Readings readings_;
  const SigningKey key_{"k", "ES256"};
};

TEST_F(AuthenticatorTest, RefusesMissingMalformedAndUnknownCredentials) {
  const auto authenticator = Make(WithKeys());
  for (const char* credentials :
       {"", "abc", "Basic abc", "Bearer abcd", "Bearer ", "Bearer", "Bearer a.b.c"}) {
    EXPECT_TRUE(absl::IsUnauthenticated(authenticator->Authenticate(credentials).status()))
        << credentials;
  }
  EXPECT_EQ(authenticator->Authenticate("bearer  abc ")->tenant, "team");
}

TEST_F(AuthenticatorTest, WithoutCredentialsEverybodyIsAnonymousAndNoAdmin) {
  const auto authenticator = Make({});
  const auto principal = authenticator->Authenticate("");
  ASSERT_TRUE(principal.ok());
  EXPECT_EQ(principal->tenant, "anonymous");
  EXPECT_TRUE(principal->rights.forced_experts);
  EXPECT_FALSE(principal->rights.admin);
  EXPECT_FALSE(authenticator->has_files());
}

TEST_F(AuthenticatorTest, AnonymousCallersAreAdminOnlyWhereTheConfigurationSaysSo) {
  config::v1::Identity config;
  config.set_anonymous_admin(true);
  EXPECT_TRUE(Make(config)->Authenticate("")->rights.admin);
  config.set_api_keys_file(WithKeys().api_keys_file());
  EXPECT_FALSE(Make(config)->Authenticate("").ok());
}

TEST_F(AuthenticatorTest, TakesKeysAndTokensSideBySide) {
  config::v1::Identity config = WithKeys();
  AddJwt(config);
  const auto authenticator = Make(config);
  EXPECT_EQ(authenticator->Authenticate("Bearer abc")->tenant, "team");
  EXPECT_EQ(authenticator->Authenticate("Bearer " + Token(key_, "other"))->tenant, "other");
  EXPECT_THAT(std::string(authenticator->Authenticate("Bearer x").status().message()),
              HasSubstr("unknown key"));
  EXPECT_THAT(std::string(authenticator->Authenticate("Bearer x.y.z").status().message()),
              HasSubstr("token: "));
}

TEST_F(AuthenticatorTest, WithTokensAloneAKeyIsNone) {
  config::v1::Identity config;
  AddJwt(config);
  const auto authenticator = Make(config);
  EXPECT_EQ(authenticator->Authenticate("Bearer " + Token(key_, "other"))->tenant, "other");
  EXPECT_TRUE(absl::IsUnauthenticated(authenticator->Authenticate("").status()));
  EXPECT_THAT(std::string(authenticator->Authenticate("Bearer abc").status().message()),
              HasSubstr("wanted a signed token"));
}

TEST_F(AuthenticatorTest, AKeyMayLookLikeAToken) {
  config::v1::Identity config;
  // SHA-256 of "a.b.c".
  config.set_api_keys_file(dir_.Write(
      "keys.yaml",
      KeyFile("845e30448809e2bc8958eb025bfc795235d13b077a53d0c3abbd2385170dc9b8", "dotted")));
  AddJwt(config);
  const auto authenticator = Make(config);
  EXPECT_EQ(authenticator->Authenticate("Bearer a.b.c")->tenant, "dotted");
  EXPECT_FALSE(authenticator->Authenticate("Bearer x.y.z").ok());
}

TEST_F(AuthenticatorTest, ReadsAKeysFileThatChanged) {
  const auto authenticator = Make(WithKeys());
  authenticator->Reload();
  EXPECT_THAT(readings_.seen, IsEmpty());

  dir_.Write("keys.yaml", KeyFile(kDef, "team"));
  authenticator->Reload();
  authenticator->Reload();
  EXPECT_THAT(readings_.seen, ElementsAre(Pair("api_keys", true)));
  EXPECT_FALSE(authenticator->Authenticate("Bearer abc").ok());
  EXPECT_EQ(authenticator->Authenticate("Bearer def")->tenant, "team");
}

TEST_F(AuthenticatorTest, AFileThatCannotBeUsedLeavesWhatWasReadBefore) {
  config::v1::Identity config = WithKeys();
  AddJwt(config);
  const auto authenticator = Make(config);
  const auto both_hold = [&] {
    return authenticator->Authenticate("Bearer abc").ok() &&
           authenticator->Authenticate("Bearer " + Token(key_, "other")).ok();
  };
  ASSERT_TRUE(both_hold());
  dir_.Write("keys.yaml", "keys: [{sha256: abc, tenant: team}]\n");
  dir_.Write("jwks.json", "{\"keys\":");
  authenticator->Reload();
  authenticator->Reload();
  EXPECT_THAT(readings_.seen, ElementsAre(Pair("api_keys", false), Pair("jwks", false)));
  EXPECT_TRUE(both_hold());

  std::filesystem::remove(dir_.File("keys.yaml"));
  std::filesystem::remove(dir_.File("jwks.json"));
  authenticator->Reload();
  authenticator->Reload();
  EXPECT_EQ(readings_.seen.size(), 4u);
  EXPECT_TRUE(both_hold());

  // What stood there before is a change again.
  dir_.Write("keys.yaml", KeyFile(kAbc, "team"));
  dir_.Write("jwks.json", Jwks({key_.Public()}));
  authenticator->Reload();
  EXPECT_EQ(readings_.seen.size(), 6u);
  EXPECT_TRUE(readings_.seen[4].second && readings_.seen[5].second);
  EXPECT_TRUE(both_hold());
}

TEST_F(AuthenticatorTest, TokenKeysRotateThroughTheirFile) {
  config::v1::Identity config;
  AddJwt(config);
  const auto authenticator = Make(config);
  const SigningKey next("next", "ES256");
  const std::string token = "Bearer " + Token(next, "team");
  EXPECT_THAT(std::string(authenticator->Authenticate(token).status().message()),
              HasSubstr("kid: unknown key"));
  dir_.Write("jwks.json", Jwks({key_.Public(), next.Public()}));
  authenticator->Reload();
  EXPECT_TRUE(authenticator->Authenticate(token).ok());
  EXPECT_TRUE(authenticator->Authenticate("Bearer " + Token(key_, "team")).ok());
}

TEST_F(AuthenticatorTest, AFileThatCannotBeUsedAtTheStartIsAnError) {
  const auto refused = [&](const config::v1::Identity& config) {
    return std::string(Authenticator::Create(config, clock_, nullptr).status().message());
  };
  config::v1::Identity config;
  config.set_api_keys_file(dir_.File("absent.yaml"));
  EXPECT_THAT(refused(config), HasSubstr("absent.yaml: cannot be read"));
  config.set_api_keys_file(dir_.path());
  EXPECT_THAT(refused(config), HasSubstr(dir_.path()));
  config.set_api_keys_file(dir_.Write("keys.yaml", KeyFile("abc", "team")));
  EXPECT_THAT(refused(config), HasSubstr("keys.yaml: keys[0].sha256"));
  config.set_api_keys_file(dir_.Write("keys.yaml", std::string((1 << 20) + 1, '#')));
  EXPECT_THAT(refused(config), HasSubstr("keys.yaml: wanted at most"));
  config = {};
  AddJwt(config);
  dir_.Write("jwks.json", Jwks({key_.Private()}));
  EXPECT_THAT(refused(config), HasSubstr("jwks.json: keys[0]: is a private key"));
}

TEST_F(AuthenticatorTest, PoolsAreTheTenantsOwn) {
  config::v1::ApiKeys keys;
  keys.add_keys()->set_sha256(kAbc);
  keys.mutable_keys(0)->set_tenant("team");
  keys.mutable_keys(0)->add_pools("digits");
  const auto authenticator = *Authenticator::FromKeys(keys, clock_);
  const Metadata metadata = {{"authorization", "Bearer abc"}};
  EXPECT_TRUE(authenticator->Admit(metadata, "digits").ok());
  EXPECT_TRUE(authenticator->Admit(metadata, "").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(authenticator->Admit(metadata, "letters").status()));
  EXPECT_TRUE(absl::IsUnauthenticated(authenticator->Admit({}, "digits").status()));
}

}  // namespace
}  // namespace penstock::gateway
