#include "gateway/page/status_merge.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::gateway {
namespace {

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

TEST(MergePoolsTest, CountsAddUpAndQuantilesAreTheWorst) {
  const auto merged = MergePools({
      Parse<v1::ListPoolsResponse>(
          R"(pools {name: "a" requests: 10 failures: 1 energy_j: 2 p50_ms: 3 p99_ms: 9
                    in_flight: 1})"),
      Parse<v1::ListPoolsResponse>(
          R"(pools {name: "b" requests: 5}
             pools {name: "a" ready: true requests: 20 energy_j: 4 p50_ms: 2 p99_ms: 12 in_flight: 2
                    price_per_joule: 0.5})")});
  ASSERT_EQ(merged.pools_size(), 2);
  const v1::PoolStatus& a = merged.pools(0);
  EXPECT_EQ(a.name(), "a");
  EXPECT_TRUE(a.ready());
  EXPECT_EQ(a.requests(), 30u);
  EXPECT_EQ(a.failures(), 1u);
  EXPECT_EQ(a.energy_j(), 6);
  EXPECT_EQ(a.in_flight(), 3u);
  EXPECT_EQ(a.p50_ms(), 3);
  EXPECT_EQ(a.p99_ms(), 12);
  EXPECT_EQ(a.price_per_joule(), 0.5);
  EXPECT_EQ(merged.pools(1).requests(), 5u);
}

TEST(MergeExpertsTest, SharesAreOfTheSumsAndReplicasAreAsTheWorstRouterSeesThem) {
  const auto merged = MergeExperts({
      Parse<v1::ListExpertsResponse>(
          R"(experts {pool: "p" name: "x" admitted: true requests: 30 share: 1 energy_j_mean: 1
                      replicas {address: "h:1" healthy: true requests: 30 p99_ms: 4
                                breaker: "closed"}}
             experts {pool: "p" name: "y" admitted: true})"),
      Parse<v1::ListExpertsResponse>(
          R"(experts {pool: "p" name: "x" admitted: true requests: 10 share: 0.25 energy_j_mean: 5
                      replicas {address: "h:1" requests: 10 failures: 2 p99_ms: 2 breaker: "open"}
                      replicas {address: "h:2" healthy: true}}
             experts {pool: "p" name: "y" left_out_because: "contract" requests: 30 share: 0.75}
             experts {pool: "q" name: "x" requests: 7 share: 1})")});
  ASSERT_EQ(merged.experts_size(), 3);
  const v1::ExpertStatus& x = merged.experts(0);
  EXPECT_EQ(x.requests(), 40u);
  EXPECT_DOUBLE_EQ(x.share(), 40.0 / 70);
  EXPECT_DOUBLE_EQ(x.energy_j_mean(), 2);
  ASSERT_EQ(x.replicas_size(), 2);
  EXPECT_FALSE(x.replicas(0).healthy());
  EXPECT_EQ(x.replicas(0).requests(), 40u);
  EXPECT_EQ(x.replicas(0).failures(), 2u);
  EXPECT_EQ(x.replicas(0).p99_ms(), 4);
  EXPECT_EQ(x.replicas(0).breaker(), "open");
  const v1::ExpertStatus& y = merged.experts(1);
  EXPECT_FALSE(y.admitted());
  EXPECT_EQ(y.left_out_because(), "contract");
  EXPECT_DOUBLE_EQ(y.share(), 30.0 / 70);
  EXPECT_DOUBLE_EQ(merged.experts(2).share(), 1);
}

TEST(MergeExpertsTest, OneRoutersWordIsKeptAsItIs) {
  const auto only = Parse<v1::ListExpertsResponse>(R"(experts {pool: "p" name: "x" share: 0.3})");
  EXPECT_EQ(MergeExperts({only}).experts(0).share(), 0.3);
}

}  // namespace
}  // namespace penstock::gateway
