#include "gateway/identity/authenticator.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// SHA-256 of "abc": FIPS 180-4's own example.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

config::v1::ApiKeys OneKey() {
  config::v1::ApiKeys keys;
  config::v1::ApiKey& key = *keys.add_keys();
  key.set_sha256(kAbc);
  key.set_tenant("team");
  key.add_pools("digits");
  key.set_priority(2);
  return keys;
}

TEST(AuthenticatorTest, KnowsAKeyByItsDigest) {
  const auto authenticator = *Authenticator::FromKeys(OneKey());
  const auto principal = authenticator->Authenticate("Bearer abc");
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_EQ(principal->tenant, "team");
  EXPECT_EQ(principal->priority, 2u);
  EXPECT_THAT(principal->rights.pools, ElementsAre("digits"));
  EXPECT_FALSE(principal->rights.forced_experts);
  EXPECT_FALSE(principal->rights.admin);
}

TEST(AuthenticatorTest, RefusesMissingMalformedAndUnknownCredentials) {
  const auto authenticator = *Authenticator::FromKeys(OneKey());
  for (const char* credentials : {"", "abc", "Basic abc", "Bearer abcd", "Bearer "}) {
    EXPECT_TRUE(absl::IsUnauthenticated(authenticator->Authenticate(credentials).status()))
        << credentials;
  }
}

TEST(AuthenticatorTest, WithoutKeysEverybodyIsAnonymousAndNoAdmin) {
  const auto authenticator = *Authenticator::Create({});
  const auto principal = authenticator->Authenticate("");
  ASSERT_TRUE(principal.ok());
  EXPECT_EQ(principal->tenant, "anonymous");
  EXPECT_TRUE(principal->rights.forced_experts);
  EXPECT_FALSE(principal->rights.admin);
}

TEST(AuthenticatorTest, AnonymousCallersAreAdminOnlyWhereTheConfigurationSaysSo) {
  config::v1::Identity config;
  config.set_anonymous_admin(true);
  EXPECT_TRUE((*Authenticator::Create(config))->Authenticate("")->rights.admin);
}

TEST(AuthenticatorTest, NamesTheKeyThatIsWrong) {
  config::v1::ApiKeys keys = OneKey();
  keys.add_keys()->set_sha256("abc");
  const auto status = Authenticator::FromKeys(keys).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("keys[1].sha256: wanted 64 hex digits"));
}

TEST(AuthenticatorTest, RefusesNamesThatMetadataCannotCarry) {
  for (const char* tenant : {"", "Z\xC3\xBCrich", "two words", "a,admin"}) {
    config::v1::ApiKeys keys = OneKey();
    keys.mutable_keys(0)->set_tenant(tenant);
    EXPECT_THAT(std::string(Authenticator::FromKeys(keys).status().message()),
                HasSubstr("keys[0].tenant"))
        << tenant;
  }
  config::v1::ApiKeys keys = OneKey();
  keys.mutable_keys(0)->set_pools(0, "a,admin");
  EXPECT_THAT(std::string(Authenticator::FromKeys(keys).status().message()),
              HasSubstr("keys[0].pools"));
}

TEST(AuthenticatorTest, RefusesAKeyThatStandsTwice) {
  config::v1::ApiKeys keys = OneKey();
  *keys.add_keys() = keys.keys(0);
  EXPECT_FALSE(Authenticator::FromKeys(keys).ok());
}

}  // namespace
}  // namespace penstock::gateway
