#include "gateway/identity/api_keys.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);  // 1970-01-12T13:46:40Z
// SHA-256 of "abc": FIPS 180-4's own example.
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
// `printf %s def | sha256sum`
constexpr char kDef[] = "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34";

config::v1::ApiKeys OneKey() {
  config::v1::ApiKeys keys;
  config::v1::ApiKey& key = *keys.add_keys();
  key.set_sha256(kAbc);
  key.set_tenant("team");
  key.add_pools("digits");
  key.set_priority(2);
  return keys;
}

TEST(ApiKeysTest, KnowsAKeyByItsDigest) {
  const auto keys = *ApiKeys::Create(OneKey(), {});
  const auto principal = keys->Find("abc", kNow);
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_EQ(principal->tenant, "team");
  EXPECT_EQ(principal->priority, 2u);
  EXPECT_EQ(principal->credential, "key:ba7816bf");
  EXPECT_THAT(principal->rights.pools, ElementsAre("digits"));
  EXPECT_FALSE(principal->rights.forced_experts);
  EXPECT_FALSE(principal->rights.admin);
  EXPECT_TRUE(absl::IsUnauthenticated(keys->Find("abcd", kNow).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(keys->Find("", kNow).status()));
}

TEST(ApiKeysTest, ATenantRotatesItsKeyWithTwoAtOnce) {
  config::v1::ApiKeys config = OneKey();
  config.mutable_keys(0)->set_not_after("1970-01-12T13:46:41Z");
  config::v1::ApiKey& second = *config.add_keys();
  second.set_sha256(kDef);
  second.set_tenant("team");
  const auto keys = *ApiKeys::Create(config, {});
  EXPECT_EQ(keys->Find("abc", kNow)->tenant, "team");
  EXPECT_EQ(keys->Find("def", kNow)->tenant, "team");
  const auto late = keys->Find("abc", kNow + absl::Seconds(1)).status();
  EXPECT_TRUE(absl::IsUnauthenticated(late));
  EXPECT_THAT(std::string(late.message()), HasSubstr("not_after"));
  EXPECT_EQ(keys->Find("def", kNow + absl::Seconds(1))->tenant, "team");
}

TEST(ApiKeysTest, NamesTheQuotaOrHasTheDefault) {
  config::v1::ApiKeys config = OneKey();
  EXPECT_EQ((*ApiKeys::Create(config, {}))->Find("abc", kNow)->quota, "");
  EXPECT_EQ((*ApiKeys::Create(config, {"default"}))->Find("abc", kNow)->quota, "default");
  config.mutable_keys(0)->set_quota("gold");
  EXPECT_EQ((*ApiKeys::Create(config, {"gold"}))->Find("abc", kNow)->quota, "gold");
  EXPECT_THAT(std::string(ApiKeys::Create(config, {"silver"}).status().message()),
              HasSubstr("keys[0].quota: identity.quotas has no 'gold'"));
}

TEST(ApiKeysTest, NamesTheKeyThatIsWrong) {
  const auto refused = [](const config::v1::ApiKeys& config) {
    return std::string(ApiKeys::Create(config, {}).status().message());
  };
  EXPECT_THAT(refused({}), HasSubstr("keys: none"));
  config::v1::ApiKeys keys = OneKey();
  keys.add_keys()->set_sha256("abc");
  EXPECT_THAT(refused(keys), HasSubstr("keys[1].sha256: wanted 64 hex digits"));
  keys = OneKey();
  keys.mutable_keys(0)->set_not_after("tomorrow");
  EXPECT_THAT(refused(keys), HasSubstr("keys[0].not_after: wanted a time"));
  keys = OneKey();
  keys.mutable_keys(0)->set_priority(10);
  EXPECT_THAT(refused(keys), HasSubstr("keys[0].priority: wanted 0 to 9, got 10"));
  keys = OneKey();
  *keys.add_keys() = keys.keys(0);
  EXPECT_THAT(refused(keys), HasSubstr("keys[1].sha256: stands there twice"));
  keys = OneKey();
  for (int i = 0; i < 1000; ++i) keys.mutable_keys(0)->add_pools("a-pool-of-some-length");
  EXPECT_THAT(refused(keys), HasSubstr("keys[0].pools: wanted at most 8192 bytes"));
}

TEST(ApiKeysTest, RefusesNamesThatMetadataCannotCarry) {
  for (const char* tenant : {"", "Z\xC3\xBCrich", "two words", "a,admin"}) {
    config::v1::ApiKeys keys = OneKey();
    keys.mutable_keys(0)->set_tenant(tenant);
    EXPECT_THAT(std::string(ApiKeys::Create(keys, {}).status().message()),
                HasSubstr("keys[0].tenant"))
        << tenant;
  }
  config::v1::ApiKeys keys = OneKey();
  keys.mutable_keys(0)->set_pools(0, "a,admin");
  EXPECT_THAT(std::string(ApiKeys::Create(keys, {}).status().message()),
              HasSubstr("keys[0].pools"));
}

}  // namespace
}  // namespace penstock::gateway
