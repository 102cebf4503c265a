#include "router_service/pools/cacheable.h"

#include <string>

#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pools/pool.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

config::v1::Pool PoolOf(const std::string& yaml) {
  config::v1::Pool pool;
  EXPECT_THAT(ReadYaml(yaml, pool), IsOk());
  return pool;
}

TEST(CacheableTest, UnsetFieldsHaveDefaults) {
  const auto policy = ReadCacheable(PoolOf("{name: p, cacheable: {}}"));
  ASSERT_THAT(policy.status(), IsOk());
  EXPECT_EQ(policy->ttl().seconds(), 60);
  EXPECT_FALSE(policy->share_between_tenants());
  EXPECT_EQ(policy->max_entry_bytes(), 1u << 20);
}

TEST(CacheableTest, WhatIsSetIsTold) {
  const auto policy = ReadCacheable(PoolOf(
      "{name: p, cacheable: {ttl: 0.5s, share_between_tenants: true, max_entry_bytes: 2048}}"));
  ASSERT_THAT(policy.status(), IsOk());
  EXPECT_EQ(policy->ttl().nanos(), 500'000'000);
  EXPECT_TRUE(policy->share_between_tenants());
  EXPECT_EQ(policy->max_entry_bytes(), 2048u);
}

TEST(CacheableTest, WhatIsOutOfRangeIsNamed) {
  const auto says = [](const std::string& yaml) {
    return std::string(ReadCacheable(PoolOf(yaml)).status().message());
  };
  EXPECT_THAT(says("{name: p, cacheable: {ttl: 0s}}"), HasSubstr("cacheable.ttl"));
  EXPECT_THAT(says("{name: p, cacheable: {ttl: 2592001s}}"), HasSubstr("cacheable.ttl"));
  EXPECT_THAT(says("{name: p, cacheable: {max_entry_bytes: 1023}}"),
              HasSubstr("cacheable.max_entry_bytes is 1023"));
  EXPECT_THAT(says("{name: p, granularity: ROW, cacheable: {}}"), HasSubstr("REQUEST"));
  EXPECT_THAT(says("{name: p, cacheable: {share_between_tenants: true}, customisation: {}}"),
              HasSubstr("customisation"));
}

TEST(CacheableTest, AWrongPoolDoesNotStart) {
  EXPECT_THAT(
      ValidatePool(PoolOf("{name: p, experts: [{name: a}], cacheable: {ttl: 0s}}"), true).message(),
      HasSubstr("pool p: cacheable.ttl"));
}

TEST(CacheableTest, TheVersionChangesWithConfigurationAndFiles) {
  const TempDir folder;
  folder.Write("quality", "one");
  folder.Write("gate", "one");
  const std::string files = "quality_file: " + folder.File("quality") +
                            ", gate: {topk_softmax: {file: " + folder.File("gate") + "}}";
  const config::v1::Pool pool = PoolOf("{name: p, experts: [{name: a}], " + files + "}");
  const std::string version = AnswerVersion(pool);
  EXPECT_EQ(version.size(), 64u);
  EXPECT_EQ(AnswerVersion(pool), version);
  EXPECT_NE(AnswerVersion(PoolOf("{name: p, experts: [{name: a}, {name: b}], " + files + "}")),
            version);
  folder.Write("quality", "two");
  const std::string other_quality = AnswerVersion(pool);
  EXPECT_NE(other_quality, version);
  folder.Write("gate", "two");
  EXPECT_NE(AnswerVersion(pool), other_quality);
  folder.Write("quality", "one");
  folder.Write("gate", "one");
  EXPECT_EQ(AnswerVersion(pool), version);
}

TEST(CacheableTest, TheVersionIsThatOfTheAnswersAlone) {
  const std::string version = AnswerVersion(PoolOf("{name: p, experts: [{name: a}]}"));
  EXPECT_EQ(AnswerVersion(PoolOf("{name: p, experts: [{name: a}], cacheable: {ttl: 1s}}")),
            version);
  const TempDir folder;
  folder.Write("quality", "one");
  EXPECT_EQ(AnswerVersion(PoolOf("{name: p, experts: [{name: a}], shadow: {quality_file: " +
                                 folder.File("quality") + "}}")),
            version);
}

// protobuf iterates a map in no fixed order.
TEST(CacheableTest, TheOrderOfAMapDoesNotMatter) {
  config::v1::Pool a = PoolOf("{name: p}"), b = PoolOf("{name: p}");
  for (int i = 0; i < 50; ++i) {
    (*a.mutable_classes())["class" + std::to_string(i)].set_energy_budget_j(i);
    (*b.mutable_classes())["class" + std::to_string(49 - i)].set_energy_budget_j(49 - i);
  }
  EXPECT_EQ(AnswerVersion(a), AnswerVersion(b));
}

}  // namespace
}  // namespace penstock::router
