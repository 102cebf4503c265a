#include "router_service/replicas/load_latency.h"

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

constexpr absl::Time kEver = absl::InfinitePast();
const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

TEST(LoadLatencyTest, NothingIsKnownAtFirst) {
  const LoadLatency latency;
  EXPECT_EQ(latency.At(0, kEver), std::nullopt);
  EXPECT_EQ(latency.newest(), absl::InfinitePast());
}

TEST(LoadLatencyTest, IsTheMedianAtTheLoad) {
  LoadLatency latency;
  for (const int ms : {10, 30, 20}) latency.Add(0, absl::Milliseconds(ms), kStart);
  for (const int ms : {100, 300, 200}) latency.Add(5, absl::Milliseconds(ms), kStart);
  EXPECT_DOUBLE_EQ(*latency.At(0, kEver), 0.020);
  EXPECT_DOUBLE_EQ(*latency.At(4, kEver), 0.200);  // 4 to 7 are one load
  EXPECT_DOUBLE_EQ(*latency.At(7, kEver), 0.200);
}

TEST(LoadLatencyTest, ALoadThatWasNeverSeenIsLikeTheNearestOnes) {
  LoadLatency latency;
  for (int i = 0; i < 3; ++i) latency.Add(1, absl::Milliseconds(10), kStart);
  for (int i = 0; i < 3; ++i) latency.Add(100, absl::Milliseconds(90), kStart);
  EXPECT_DOUBLE_EQ(*latency.At(2, kEver), 0.010);
  EXPECT_DOUBLE_EQ(*latency.At(1e9, kEver), 0.090);
}

TEST(LoadLatencyTest, OneAnswerAloneIsWeighedWithThoseAtTheNextLoads) {
  LoadLatency latency;
  latency.Add(0, absl::Milliseconds(500), kStart);  // it stalled
  for (int i = 0; i < 3; ++i) latency.Add(1, absl::Milliseconds(10), kStart);
  EXPECT_DOUBLE_EQ(*latency.At(0, kEver), 0.010);
}

TEST(LoadLatencyTest, FourSlowAnswersTurnTheMedianOfSeven) {
  LoadLatency latency;
  for (int i = 0; i < 7; ++i) latency.Add(0, absl::Milliseconds(10), kStart);
  for (int i = 0; i < 3; ++i) latency.Add(0, absl::Milliseconds(200), kStart);
  EXPECT_DOUBLE_EQ(*latency.At(0, kEver), 0.010);
  latency.Add(0, absl::Milliseconds(200), kStart);
  EXPECT_DOUBLE_EQ(*latency.At(0, kEver), 0.200);
}

TEST(LoadLatencyTest, WhatIsOlderThanAskedForSaysNothing) {
  LoadLatency latency;
  for (int i = 0; i < 4; ++i) latency.Add(0, absl::Milliseconds(10), kStart);
  latency.Add(0, absl::Milliseconds(200), kStart + absl::Seconds(2));
  EXPECT_DOUBLE_EQ(*latency.At(0, kStart + absl::Seconds(1)), 0.200);
  EXPECT_DOUBLE_EQ(*latency.At(0, kStart), 0.010);
  EXPECT_EQ(latency.At(0, kStart + absl::Seconds(3)), std::nullopt);
  EXPECT_EQ(latency.newest(), kStart + absl::Seconds(2));
}

TEST(LoadLatencyTest, NewerAnswersThatOlderOnesPushedOutSayNothing) {
  LoadLatency latency;
  latency.Add(0, absl::Milliseconds(10), kStart + absl::Seconds(2));
  for (int i = 0; i < 7; ++i) latency.Add(0, absl::Milliseconds(10), kStart);
  EXPECT_EQ(latency.At(0, kStart + absl::Seconds(1)), std::nullopt);
  EXPECT_DOUBLE_EQ(*latency.At(0, kStart), 0.010);
}

}  // namespace
}  // namespace penstock::router
