#include "router_service/replicas/power_of_two_choices.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

size_t Pick(const std::vector<ReplicaView>& replicas, uint64_t sequence,
            const std::vector<size_t>& excluded = {}) {
  CounterRandom random(17, sequence);
  const auto picked = PickOfTwo(replicas, excluded, random);
  EXPECT_TRUE(picked.ok());
  return picked.value_or(replicas.size());
}

TEST(PowerOfTwoChoicesTest, OfTwoTheShorterExpectedDelayWins) {
  const std::vector<ReplicaView> replicas = {{true, 3, 1}, {true, 1, 1}};
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(Pick(replicas, i), 1u);
}

TEST(PowerOfTwoChoicesTest, AFasterReplicaMayHaveMoreInFlight) {
  // (5 + 1) / 4 = 1.5 against (1 + 1) / 1 = 2.
  const std::vector<ReplicaView> replicas = {{true, 5, 4}, {true, 1, 1}};
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(Pick(replicas, i), 0u);
}

TEST(PowerOfTwoChoicesTest, EqualLoadsAreUniform) {
  const std::vector<ReplicaView> replicas(4);
  std::vector<int> count(4, 0);
  for (uint64_t i = 0; i < 40'000; ++i) ++count[Pick(replicas, i)];
  // Four standard deviations of a binomial: 4 sqrt(40000 * .25 * .75) = 346.
  for (const int c : count) EXPECT_NEAR(c, 10'000, 346);
}

TEST(PowerOfTwoChoicesTest, UnhealthyExcludedAndZeroRateAreNeverPicked) {
  const std::vector<ReplicaView> replicas = {
      {false, 0, 1}, {true, 0, 0}, {true, 9, 1}, {true, 0, 1}};
  for (uint64_t i = 0; i < 200; ++i) EXPECT_EQ(Pick(replicas, i, {3}), 2u);
}

TEST(PowerOfTwoChoicesTest, NoneLeftIsUnavailable) {
  CounterRandom random(1, 1);
  EXPECT_EQ(PickOfTwo({}, {}, random).status().code(), absl::StatusCode::kUnavailable);
  const std::vector<ReplicaView> one(1);
  const std::vector<size_t> tried = {0};
  EXPECT_EQ(PickOfTwo(one, tried, random).status().code(), absl::StatusCode::kUnavailable);
}

TEST(PowerOfTwoChoicesTest, TheSameSeedPicksTheSame) {
  const std::vector<ReplicaView> replicas(16);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(Pick(replicas, i), Pick(replicas, i));
}

TEST(PowerOfTwoChoicesTest, TheLongestQueueStaysShort) {
  // n balls into n bins: ln ln n / ln 2 + O(1) with two choices, where one choice gives 7 to 8.
  constexpr size_t kReplicas = 2000;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    std::vector<ReplicaView> replicas(kReplicas);
    for (uint64_t i = 0; i < kReplicas; ++i) {
      CounterRandom random(seed, i);
      const auto picked = PickOfTwo(replicas, {}, random);
      ASSERT_TRUE(picked.ok());
      replicas[*picked].in_flight += 1;
    }
    double longest = 0;
    for (const ReplicaView& replica : replicas) longest = std::max(longest, replica.in_flight);
    EXPECT_LE(longest, 4);
  }
}

}  // namespace
}  // namespace penstock::router
