#include "router_service/replicas/recent_quantile.h"

#include <algorithm>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(RecentQuantileTest, IsUnknownUntilOneMayBeAboveIt) {
  RecentQuantile quantile(0.95);
  for (int i = 0; i < 19; ++i) quantile.Add(absl::Milliseconds(1));
  EXPECT_EQ(quantile.Value(), absl::InfiniteDuration());
  quantile.Add(absl::Milliseconds(1));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(quantile.Value()), 1, 1e-4);
}

TEST(RecentQuantileTest, FollowsWhatComes) {
  RecentQuantile quantile(0.9);
  for (int i = 0; i < 300; ++i) quantile.Add(absl::Milliseconds(1));
  for (int i = 0; i < 300; ++i) quantile.Add(absl::Milliseconds(50));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(quantile.Value()), 50, 1e-3);
}

TEST(RecentQuantileTest, IsTheQuantileOfItsWindow) {
  const uint64_t seed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  CounterRandom random(seed, 0);
  RecentQuantile quantile(0.95);
  std::vector<double> all;
  // 400 are its window, and it is found anew with every sixteenth after the twentieth.
  for (int i = 0; i < 20 + 16 * 40; ++i) {
    all.push_back(random.Uniform());
    quantile.Add(absl::Seconds(all.back()));
  }
  std::vector<double> window(all.end() - 400, all.end());
  std::sort(window.begin(), window.end());
  EXPECT_NEAR(absl::ToDoubleSeconds(quantile.Value()), window[379], 1e-6);
}

}  // namespace
}  // namespace penstock::router
