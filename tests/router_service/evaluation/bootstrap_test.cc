#include "router_service/evaluation/bootstrap.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

std::vector<uint32_t> Alone(uint32_t rows) {
  std::vector<uint32_t> group(rows);
  std::iota(group.begin(), group.end(), 0u);
  return group;
}

TEST(GroupBootstrapTest, DrawsAsManyGroupsAsThereAre) {
  const GroupBootstrap bootstrap(Alone(101), 1);
  const std::vector<float> weights = bootstrap.Weights(0);
  EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0.0f), 101);
}

TEST(GroupBootstrapTest, RowsOfOneGroupStayTogether) {
  const std::vector<uint32_t> group = {0, 1, 0, 2, 1};
  const GroupBootstrap bootstrap(group, 1);
  for (uint64_t replicate = 0; replicate < 50; ++replicate) {
    const std::vector<float> weights = bootstrap.Weights(replicate);
    EXPECT_EQ(weights[0], weights[2]);
    EXPECT_EQ(weights[1], weights[4]);
  }
}

TEST(GroupBootstrapTest, AReplicateIsAFunctionOfSeedAndNumber) {
  EXPECT_EQ(GroupBootstrap(Alone(50), 7).Weights(3), GroupBootstrap(Alone(50), 7).Weights(3));
  EXPECT_NE(GroupBootstrap(Alone(50), 7).Weights(3), GroupBootstrap(Alone(50), 7).Weights(4));
  EXPECT_NE(GroupBootstrap(Alone(50), 7).Weights(3), GroupBootstrap(Alone(50), 8).Weights(3));
}

TEST(GroupBootstrapTest, SpreadOfAMeanIsItsStandardError) {
  // 400 coin tosses: standard error sqrt(.25/400) = .025. Of 2,000 replicates the spread is known
  // to 1/sqrt(4000) = 1.6 %; the sample's own deviation from .25 adds less than 1 %.
  std::vector<double> toss(400);
  for (size_t i = 0; i < toss.size(); ++i) toss[i] = i % 2;
  const GroupBootstrap bootstrap(Alone(400), 11);
  double sum = 0, square = 0;
  for (uint64_t replicate = 0; replicate < 2000; ++replicate) {
    const std::vector<float> weights = bootstrap.Weights(replicate);
    double mean = 0;
    for (size_t i = 0; i < toss.size(); ++i) mean += weights[i] * toss[i] / 400;
    sum += mean;
    square += mean * mean;
  }
  const double deviation = std::sqrt(square / 2000 - (sum / 2000) * (sum / 2000));
  EXPECT_NEAR(deviation, .025, .025 * .08);  // five times 1.6 %
}

TEST(PercentileIntervalTest, HoldsTheMiddle95Percent) {
  std::vector<double> values(1001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1000 - static_cast<double>(i);
  const Interval interval = PercentileInterval(values);
  EXPECT_NEAR(interval.low, 25, 1e-9);  // (1 - .95) / 2 is not exact
  EXPECT_NEAR(interval.high, 975, 1e-9);
}

TEST(PercentileIntervalTest, LeavesOutReplicatesWithoutAValue) {
  const Interval interval = PercentileInterval({1, std::nan(""), 2});
  EXPECT_NEAR(interval.low, 1.025, 1e-12);
  EXPECT_TRUE(std::isnan(PercentileInterval({std::nan(""), 1}).low));
}

}  // namespace
}  // namespace penstock::router
