#include "gateway/admission/tenant_quotas.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock::gateway {
namespace {

using ::testing::HasSubstr;

class TenantQuotasTest : public ::testing::Test {
 protected:
  void Build(const std::string& yaml) {
    config::v1::Identity config;
    ASSERT_TRUE(ReadYaml("quotas: " + yaml, config).ok()) << yaml;
    auto created = TenantQuotas::Create(config.quotas(), clock_);
    ASSERT_TRUE(created.ok()) << created.status();
    quotas_ = *std::move(created);
  }
  absl::StatusOr<TenantQuotas::Place> Take(const std::string& tenant,
                                           const std::string& quota = "q") {
    return quotas_->Take(tenant, quota, retry_after_);
  }

  FakeClock clock_;
  std::unique_ptr<TenantQuotas> quotas_;
  absl::Duration retry_after_;
};

TEST_F(TenantQuotasTest, CountsWhatEachTenantHasInFlight) {
  Build("{q: {max_in_flight: 2}}");
  auto first = Take("a");
  auto second = Take("a");
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = Take("a");
  EXPECT_TRUE(absl::IsResourceExhausted(third.status()));
  EXPECT_THAT(std::string(third.status().message()),
              HasSubstr("tenant a has 2 requests in flight"));
  EXPECT_GT(retry_after_, absl::ZeroDuration());
  EXPECT_TRUE(Take("b").ok());
  *first = TenantQuotas::Place();
  EXPECT_TRUE(Take("a").ok());
}

TEST_F(TenantQuotasTest, AMovedPlaceIsStillOne) {
  Build("{q: {max_in_flight: 1}}");
  auto place = Take("a");
  ASSERT_TRUE(place.ok());
  {
    TenantQuotas::Place moved = *std::move(place);
    EXPECT_FALSE(Take("a").ok());
  }
  EXPECT_TRUE(Take("a").ok());
}

TEST_F(TenantQuotasTest, TheBucketRefillsAtItsRate) {
  Build("{q: {requests_per_second: 4, burst: 3}}");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Take("a").ok()) << i;
  EXPECT_TRUE(absl::IsResourceExhausted(Take("a").status()));
  EXPECT_EQ(retry_after_, absl::Milliseconds(250));
  clock_.Advance(absl::Milliseconds(125));
  EXPECT_FALSE(Take("a").ok());
  EXPECT_EQ(retry_after_, absl::Milliseconds(125));
  clock_.Advance(absl::Milliseconds(125));
  EXPECT_TRUE(Take("a").ok());
  EXPECT_FALSE(Take("a").ok());
  // Never more than its depth.
  clock_.Advance(absl::Hours(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Take("a").ok()) << i;
  EXPECT_FALSE(Take("a").ok());
}

TEST_F(TenantQuotasTest, ARefusalCostsNothing) {
  Build("{q: {max_in_flight: 1, requests_per_second: 1, burst: 2}}");
  auto place = Take("a");
  ASSERT_TRUE(place.ok());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Take("a").ok());
  *place = TenantQuotas::Place();
  EXPECT_TRUE(Take("a").ok());
  EXPECT_FALSE(Take("a").ok());
}

TEST_F(TenantQuotasTest, ASlowRateHasADepthOfOne) {
  Build("{q: {requests_per_second: 0.5}}");
  EXPECT_TRUE(Take("a").ok());
  EXPECT_FALSE(Take("a").ok());
  EXPECT_EQ(retry_after_, absl::Seconds(2));
}

TEST_F(TenantQuotasTest, WithoutAQuotaNothingIsCounted) {
  Build("{q: {max_in_flight: 1}}");
  std::vector<absl::StatusOr<TenantQuotas::Place>> places;
  for (int i = 0; i < 10; ++i) places.push_back(Take("a", ""));
  for (const auto& place : places) EXPECT_TRUE(place.ok());
  EXPECT_EQ(quotas_->size(), 0u);
}

TEST_F(TenantQuotasTest, RemembersABoundedNumberOfIdleTenants) {
  Build("{q: {requests_per_second: 1}}");
  auto held = Take("held");
  for (size_t i = 0; i < TenantQuotas::kMaxIdle + 10; ++i) {
    ASSERT_TRUE(Take(absl::StrCat("t", i)).ok());
  }
  // The idle ones and the one in flight, which is not forgotten.
  EXPECT_EQ(quotas_->size(), TenantQuotas::kMaxIdle + 1);
  EXPECT_FALSE(Take("held").ok());
  EXPECT_FALSE(Take(absl::StrCat("t", TenantQuotas::kMaxIdle)).ok());
  EXPECT_TRUE(Take("t0").ok());
}

TEST_F(TenantQuotasTest, NamesTheFieldThatIsWrong) {
  const auto refused = [&](const std::string& yaml) {
    config::v1::Identity config;
    EXPECT_TRUE(ReadYaml("quotas: " + yaml, config).ok()) << yaml;
    return std::string(TenantQuotas::Create(config.quotas(), clock_).status().message());
  };
  EXPECT_THAT(refused("{q: {max_in_flight: 0}}"),
              HasSubstr("identity.quotas[q].max_in_flight: wanted 1 to 1000000, got 0"));
  EXPECT_THAT(refused("{q: {requests_per_second: 0}}"),
              HasSubstr("identity.quotas[q].requests_per_second"));
  EXPECT_THAT(refused("{q: {requests_per_second: -1}}"),
              HasSubstr("identity.quotas[q].requests_per_second"));
  EXPECT_THAT(refused("{q: {requests_per_second: 1, burst: 0}}"),
              HasSubstr("identity.quotas[q].burst"));
  EXPECT_THAT(refused("{q: {burst: 5}}"), HasSubstr("identity.quotas[q].burst"));
}

}  // namespace
}  // namespace penstock::gateway
