#include "gateway/identity/token_verifier.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/gateway/identity/test_tokens.h"

namespace penstock::gateway {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

config::v1::Jwt Config() {
  config::v1::Jwt config;
  config.set_jwks_file("keys.json");
  config.set_issuer("issuer");
  config.add_audiences("penstock");
  return config;
}

std::unique_ptr<TokenVerifier> Verifier(const std::string& jwks,
                                        const config::v1::Jwt& config = Config()) {
  auto verifier = *TokenVerifier::Create(config, {});
  EXPECT_TRUE(verifier->SetKeys(jwks).ok());
  return verifier;
}

std::string Claims(const std::string& sub, int64_t exp = 1'000'060) {
  return absl::StrCat(R"({"iss":"issuer","aud":"penstock","sub":")", sub, R"(","exp":)", exp, "}");
}

TEST(TokenVerifierTest, SaysWhomATokenSpeaksFor) {
  const SigningKey key("k", "ES256");
  const auto verifier = Verifier(Jwks({key.Public()}));
  const std::string token = key.Sign(Claims("team"));
  for (int i = 0; i < 2; ++i) {  // verified, and remembered
    const auto principal = verifier->Verify(token, kNow);
    ASSERT_TRUE(principal.ok()) << principal.status();
    EXPECT_EQ(principal->tenant, "team");
  }
}

TEST(TokenVerifierTest, ARememberedTokenExpiresToo) {
  const SigningKey key("k", "ES256");
  const auto verifier = Verifier(Jwks({key.Public()}));
  const std::string token = key.Sign(Claims("team"));
  ASSERT_TRUE(verifier->Verify(token, kNow).ok());
  EXPECT_THAT(std::string(verifier->Verify(token, kNow + absl::Minutes(2)).status().message()),
              HasSubstr("token: exp:"));
}

TEST(TokenVerifierTest, KeysRotate) {
  const SigningKey old_key("old", "ES256"), new_key("new", "ES256");
  const auto verifier = Verifier(Jwks({old_key.Public()}));
  const std::string old_token = old_key.Sign(Claims("team"));
  const std::string new_token = new_key.Sign(Claims("team"));
  EXPECT_TRUE(verifier->Verify(old_token, kNow).ok());
  EXPECT_FALSE(verifier->Verify(new_token, kNow).ok());

  ASSERT_TRUE(verifier->SetKeys(Jwks({old_key.Public(), new_key.Public()})).ok());
  EXPECT_TRUE(verifier->Verify(old_token, kNow).ok());
  EXPECT_TRUE(verifier->Verify(new_token, kNow).ok());

  // A key that is gone takes with it what was remembered of its tokens.
  ASSERT_TRUE(verifier->SetKeys(Jwks({new_key.Public()})).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(verifier->Verify(old_token, kNow).status()));
  EXPECT_TRUE(verifier->Verify(new_token, kNow).ok());
}

TEST(TokenVerifierTest, KeysThatCannotBeUsedLeaveThoseItHas) {
  const SigningKey key("k", "ES256");
  const auto verifier = Verifier(Jwks({key.Public()}));
  EXPECT_FALSE(verifier->SetKeys("{").ok());
  EXPECT_TRUE(verifier->Verify(key.Sign(Claims("team")), kNow).ok());
}

TEST(TokenVerifierTest, RefusesTokensThatAreTooLong) {
  const SigningKey key("k", "ES256");
  config::v1::Jwt config = Config();
  config.set_max_token_bytes(1024);
  const auto verifier = Verifier(Jwks({key.Public()}), config);
  EXPECT_TRUE(verifier->Verify(key.Sign(Claims("team")), kNow).ok());
  const auto status = verifier->Verify(key.Sign(Claims(std::string(1024, 'a'))), kNow).status();
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("token: wanted at most 1024 bytes"));
}

TEST(TokenVerifierTest, WithoutKeysNoTokenHolds) {
  const SigningKey key("k", "ES256");
  const auto verifier = *TokenVerifier::Create(Config(), {});
  EXPECT_TRUE(absl::IsUnauthenticated(verifier->Verify(key.Sign(Claims("team")), kNow).status()));
}

TEST(TokenVerifierTest, NamesTheFieldThatIsWrong) {
  const auto refused = [](const config::v1::Jwt& config) {
    return std::string(TokenVerifier::Create(config, {}).status().message());
  };
  config::v1::Jwt config = Config();
  config.clear_jwks_file();
  EXPECT_THAT(refused(config), HasSubstr("identity.jwt.jwks_file"));
  config = Config();
  config.set_max_token_bytes(255);
  EXPECT_THAT(refused(config),
              HasSubstr("identity.jwt.max_token_bytes: wanted 256 to 65536, got 255"));
  config = Config();
  config.set_cached_tokens(1'000'001);
  EXPECT_THAT(refused(config), HasSubstr("identity.jwt.cached_tokens"));
}

}  // namespace
}  // namespace penstock::gateway
