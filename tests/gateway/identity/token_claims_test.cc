#include "gateway/identity/token_claims.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

TokenClaims ClaimsFrom(const std::string& yaml, QuotaNames quotas = {}) {
  config::v1::Jwt config;
  EXPECT_TRUE(ReadYaml(yaml, config).ok()) << yaml;
  config.set_issuer("https://issuer");
  config.add_audiences("penstock");
  config.add_audiences("other-name");
  auto claims = TokenClaims::Create(config, std::move(quotas));
  EXPECT_TRUE(claims.ok()) << claims.status();
  return *std::move(claims);
}

// A token's claims that hold; `more` are members beside, or instead where they come twice.
std::string Payload(const std::string& more = "") {
  return absl::StrCat(R"({"iss":"https://issuer","aud":"penstock","sub":"team","exp":1000060)",
                      more.empty() ? "" : ",", more, "}");
}

void ExpectRefused(const std::string& payload, const std::string& why,
                   const std::string& yaml = "{}") {
  const auto holder = ClaimsFrom(yaml).Read(payload, kNow);
  ASSERT_TRUE(absl::IsUnauthenticated(holder.status())) << payload << " " << holder.status();
  EXPECT_THAT(std::string(holder.status().message()), HasSubstr(why)) << payload;
  EXPECT_THAT(std::string(holder.status().message()), Not(HasSubstr("secret"))) << payload;
}

TEST(TokenClaimsTest, ATokenWithoutMoreIsATenantWithoutRights) {
  const auto holder = ClaimsFrom("{}").Read(Payload(), kNow);
  ASSERT_TRUE(holder.ok()) << holder.status();
  EXPECT_EQ(holder->principal.tenant, "team");
  EXPECT_EQ(holder->principal.credential, "token:team");
  EXPECT_EQ(holder->principal.priority, 5u);
  EXPECT_EQ(holder->principal.quota, "");
  EXPECT_THAT(holder->principal.rights.pools, IsEmpty());
  EXPECT_FALSE(holder->principal.rights.admin);
  EXPECT_FALSE(holder->principal.rights.forced_experts);
  // exp and the leeway of 30 s.
  EXPECT_EQ(holder->until, absl::FromUnixSeconds(1'000'090));
}

TEST(TokenClaimsTest, TheIssuerMustBeTheOneThatIsTrusted) {
  for (const char* issuer :
       {R"("iss":"https://issuer.secret")", R"("iss":null)", R"("iss":["https://issuer"])"}) {
    ExpectRefused(Payload(issuer), "token: iss:");
  }
  ExpectRefused(R"({"aud":"penstock","sub":"team","exp":1000060})", "token: iss:");
}

TEST(TokenClaimsTest, OneOfTheAudiencesMustBeOurs) {
  EXPECT_TRUE(ClaimsFrom("{}").Read(Payload(R"("aud":["x","other-name"])"), kNow).ok());
  for (const char* audience :
       {R"("aud":"secret penstock")", R"("aud":[])", R"("aud":["secret"])",
        R"("aud":["penstock",7])", R"("aud":{"penstock":1})", R"("aud":7)"}) {
    ExpectRefused(Payload(audience), "token: aud:");
  }
  ExpectRefused(R"({"iss":"https://issuer","sub":"team","exp":1000060})", "token: aud:");
}

TEST(TokenClaimsTest, TimesHoldWithinTheLeeway) {
  const auto claims = ClaimsFrom("leeway: 10s");
  const auto status = [&](const std::string& more) {
    return claims.Read(Payload(more), kNow).status();
  };
  EXPECT_TRUE(status(R"("exp":999991)").ok());
  EXPECT_THAT(std::string(status(R"("exp":999990)").message()),
              HasSubstr("token: exp: the token has expired"));
  EXPECT_TRUE(status(R"("nbf":1000010)").ok());
  EXPECT_THAT(std::string(status(R"("nbf":1000011)").message()), HasSubstr("token: nbf:"));
  EXPECT_TRUE(status(R"("iat":1000010)").ok());
  EXPECT_THAT(std::string(status(R"("iat":1000011)").message()), HasSubstr("token: iat:"));
  EXPECT_TRUE(status(R"("exp":1000000.5)").ok());
}

TEST(TokenClaimsTest, TimesMustBeNumbersInRange) {
  for (const char* name : {"exp", "nbf", "iat"}) {
    for (const char* value : {"\"1000060\"", "null", "-1", "1e300", "[1000060]", "true"}) {
      ExpectRefused(Payload(absl::StrCat("\"", name, "\":", value)),
                    absl::StrCat("token: ", name, ":"));
    }
  }
  ExpectRefused(R"({"iss":"https://issuer","aud":"penstock","sub":"team"})",
                "token: exp: is missing");
}

TEST(TokenClaimsTest, TheTenantIsTheClaimThatIsConfigured) {
  const auto claims = ClaimsFrom("claims: {tenant: /organisation/team~1name}");
  const auto holder = claims.Read(Payload(R"("organisation":{"team/name":"acme"})"), kNow);
  ASSERT_TRUE(holder.ok()) << holder.status();
  EXPECT_EQ(holder->principal.tenant, "acme");
  EXPECT_EQ(holder->principal.credential, "token:team");
  for (const char* wrong :
       {R"("organisation":7)", R"("organisation":{})", R"("team/name":"acme")"}) {
    ExpectRefused(Payload(wrong),
                  "token: /organisation/team~1name:", "claims: {tenant: /organisation/team~1name}");
  }
}

TEST(TokenClaimsTest, APathLeadsThroughListsToo) {
  const auto claims = ClaimsFrom("claims: {tenant: /teams/1}");
  EXPECT_EQ(claims.Read(Payload(R"("teams":["a","b"])"), kNow)->principal.tenant, "b");
  for (const char* teams : {R"("teams":["a"])", R"("teams":[])", R"("teams":"ab")"}) {
    ExpectRefused(Payload(teams), "token: /teams/1:", "claims: {tenant: /teams/1}");
  }
}

TEST(TokenClaimsTest, ATenantMustBeAbleToTravel) {
  for (const char* tenant :
       {R"("")", R"("a,admin")", R"("two words")", R"("Z\u00fcrich")", R"("a\nb")", "7"}) {
    ExpectRefused(Payload(absl::StrCat("\"sub\":", tenant)), "token: sub:");
  }
  ExpectRefused(Payload(absl::StrCat("\"sub\":\"", std::string(300, 'a'), "\"")), "token: sub:");
}

TEST(TokenClaimsTest, PoolsAreAListOrWords) {
  const auto claims = ClaimsFrom("claims: {pools: pools}");
  EXPECT_THAT(claims.Read(Payload(R"("pools":["a","b"])"), kNow)->principal.rights.pools,
              ElementsAre("a", "b"));
  EXPECT_THAT(claims.Read(Payload(R"("pools":"a b")"), kNow)->principal.rights.pools,
              ElementsAre("a", "b"));
}

// No pool means all pools to the hops behind: it must never come of a token that names none.
TEST(TokenClaimsTest, WherePoolsAreConfiguredATokenMustNameSome) {
  for (const char* pools : {"", R"("pools":[])", R"("pools":"")", R"("pools":" ")",
                            R"("pools":null)", R"("pools":["a",7])", R"("pools":{"a":1})",
                            R"("pools":["a,admin"])", R"("pools":[""])", R"("pools":["a b"])"}) {
    ExpectRefused(Payload(pools), "token: pools:", "claims: {pools: pools}");
  }
  std::string many = R"("pools":"p)";
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&many, " pool-", i);
  ExpectRefused(Payload(many + "\""), "token: pools: wanted fewer", "claims: {pools: pools}");
}

TEST(TokenClaimsTest, RightsAreWords) {
  const auto claims = ClaimsFrom("claims: {rights: scope}");
  const auto rights = [&](const std::string& more) {
    return claims.Read(Payload(more), kNow)->principal.rights;
  };
  EXPECT_TRUE(rights(R"("scope":"openid penstock:admin")").admin);
  EXPECT_FALSE(rights(R"("scope":"openid penstock:admin")").forced_experts);
  EXPECT_TRUE(rights(R"("scope":["penstock:forced_experts"])").forced_experts);
  EXPECT_FALSE(rights(R"("scope":"penstock:administrator xpenstock:admin")").admin);
  EXPECT_FALSE(rights("").admin);
  ExpectRefused(Payload(R"("scope":{"penstock:admin":true})"),
                "token: scope:", "claims: {rights: scope}");
}

TEST(TokenClaimsTest, WordsOfRightsAreConfigured) {
  const auto claims = ClaimsFrom(
      "claims: {rights: /realm_access/roles, admin_word: boss, forced_experts_word: chooser}");
  const auto holder =
      claims.Read(Payload(R"("realm_access":{"roles":["boss","chooser"]},"roles":[])"), kNow);
  ASSERT_TRUE(holder.ok()) << holder.status();
  EXPECT_TRUE(holder->principal.rights.admin);
  EXPECT_TRUE(holder->principal.rights.forced_experts);
  EXPECT_FALSE(claims.Read(Payload(R"("realm_access":{"roles":["penstock:admin"]})"), kNow)
                   ->principal.rights.admin);
}

TEST(TokenClaimsTest, WithoutAClaimForRightsNoWordIsOne) {
  EXPECT_FALSE(ClaimsFrom("{}")
                   .Read(Payload(R"("scope":"penstock:admin","":"penstock:admin")"), kNow)
                   ->principal.rights.admin);
}

TEST(TokenClaimsTest, PriorityIsAnIntegerInItsRange) {
  const auto claims = ClaimsFrom("claims: {priority: prio}");
  EXPECT_EQ(claims.Read(Payload(R"("prio":0)"), kNow)->principal.priority, 0u);
  for (const char* priority : {"10", "-1", "\"1\"", "1.5", "4294967296", "null"}) {
    ExpectRefused(Payload(absl::StrCat("\"prio\":", priority)),
                  "token: prio:", "claims: {priority: prio}");
  }
}

TEST(TokenClaimsTest, QuotasAreThoseThatAreConfigured) {
  const auto claims = ClaimsFrom("claims: {quota: plan}", {"default", "gold"});
  EXPECT_EQ(claims.Read(Payload(R"("plan":"gold")"), kNow)->principal.quota, "gold");
  EXPECT_EQ(claims.Read(Payload(), kNow)->principal.quota, "default");
  EXPECT_THAT(std::string(claims.Read(Payload(R"("plan":"secret")"), kNow).status().message()),
              HasSubstr("token: plan:"));
}

TEST(TokenClaimsTest, ThePayloadMustBeAnObject) {
  for (const char* payload : {"", "[]", "7", "{", "\"x\"", "\xff"}) {
    ExpectRefused(payload, "token: payload:");
  }
  ExpectRefused(std::string(60'000, '['), "token: payload:");
}

TEST(TokenClaimsTest, NamesTheFieldThatIsWrong) {
  const auto refused = [](const std::string& yaml) {
    config::v1::Jwt config;
    EXPECT_TRUE(ReadYaml(yaml, config).ok()) << yaml;
    return std::string(TokenClaims::Create(config, {}).status().message());
  };
  EXPECT_THAT(refused("audiences: [a]"), HasSubstr("identity.jwt.issuer"));
  EXPECT_THAT(refused("issuer: a"), HasSubstr("identity.jwt.audiences"));
  EXPECT_THAT(refused("{issuer: a, audiences: [a], leeway: 301s}"),
              HasSubstr("identity.jwt.leeway"));
  EXPECT_THAT(refused("{issuer: a, audiences: [a], claims: {pools: /}}"),
              HasSubstr("identity.jwt.claims.pools"));
}

}  // namespace
}  // namespace penstock::gateway
