#include "common/tracing/trace_sampling.h"

#include "common/tracing/trace_ids.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(ShareSamplerTest, TakesAllOrNoneAtTheEnds) {
  const ShareSampler all(1), none(0);
  for (const uint64_t low : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    EXPECT_TRUE(all.Takes({1, low}));
    EXPECT_FALSE(none.Takes({1, low}));
  }
}

// OpenTelemetry's rule: the 56 random bits against (1 - share) * 2^56.
TEST(ShareSamplerTest, ComparesTheRandomBitsWithTheThreshold) {
  const ShareSampler quarter(0.25);
  EXPECT_TRUE(quarter.Takes({7, 0x00c0000000000000}));
  EXPECT_FALSE(quarter.Takes({7, 0x00bfffffffffffff}));
  // The highest byte has no part in it.
  EXPECT_FALSE(quarter.Takes({7, 0xffbfffffffffffff}));
}

TEST(ShareSamplerTest, TakesItsShareOfRandomIds) {
  const ShareSampler some(0.1);
  TraceIds ids(1, 2);
  int taken = 0;
  for (int i = 0; i < 100'000; ++i) taken += some.Takes(ids.NextTrace());
  // Five standard deviations: sqrt(100000 * 0.1 * 0.9) = 95.
  EXPECT_NEAR(taken, 10'000, 475);
}

TEST(ShareSamplerTest, WhoeverHasTheSameShareDrawsTheSame) {
  const ShareSampler here(0.3), there(0.3);
  TraceIds ids(3, 4);
  for (int i = 0; i < 1000; ++i) {
    const TraceId id = ids.NextTrace();
    EXPECT_EQ(here.Takes(id), there.Takes(id));
  }
}

TEST(TraceIdsTest, DifferBetweenSeedsAndDraws) {
  TraceIds one(1, 2), other(1, 3);
  const TraceId first = one.NextTrace();
  EXPECT_FALSE(first == one.NextTrace());
  EXPECT_FALSE(first == other.NextTrace());
  EXPECT_NE(one.NextSpan(), one.NextSpan());
}

TEST(TraceLimitTest, GivesSoManyASecond) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  TraceLimit limit(10, start);
  int taken = 0;
  for (int ms = 0; ms <= 10'000; ++ms) taken += limit.TryTake(start + absl::Milliseconds(ms));
  EXPECT_EQ(taken, 10 + 100);  // what was there, and ten seconds' worth
}

TEST(TraceLimitTest, KeepsOneSecondsWorthAtMost) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  TraceLimit limit(3, start);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += limit.TryTake(start + absl::Hours(1));
  EXPECT_EQ(taken, 3);
}

TEST(TraceLimitTest, GivesOneInAWhileBelowOneASecond) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  TraceLimit limit(0.1, start);
  EXPECT_TRUE(limit.TryTake(start));
  EXPECT_FALSE(limit.TryTake(start + absl::Seconds(9)));
  EXPECT_TRUE(limit.TryTake(start + absl::Seconds(10)));
}

TEST(TraceLimitTest, BearsTimesThatComeOutOfOrder) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  TraceLimit limit(1, start);
  EXPECT_TRUE(limit.TryTake(start + absl::Seconds(1)));
  EXPECT_FALSE(limit.TryTake(start));
  EXPECT_FALSE(limit.TryTake(start + absl::Seconds(1)));
}

}  // namespace
}  // namespace penstock
