#include "router_service/replicas/hedging.h"

#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

config::v1::Pool PoolWith(double quantile, double extra) {
  config::v1::Pool pool;
  pool.set_name("pool");
  pool.mutable_hedging()->set_quantile(quantile);
  pool.mutable_hedging()->set_extra_dispatches(extra);
  return pool;
}

TEST(HedgingTest, NamesTheFieldThatIsOutOfRange) {
  EXPECT_THAT(Hedging::ReadOptions(PoolWith(0.95, 0.05)).status(), IsOk());
  EXPECT_THAT(Hedging::ReadOptions(PoolWith(0.3, 0.05)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("pool pool: hedging.quantile is 0.3, wanted [0.5, 0.999]")));
  EXPECT_THAT(Hedging::ReadOptions(PoolWith(0.95, 0)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("hedging.extra_dispatches is 0, wanted (0, 1]")));
}

TEST(HedgingTest, TheDelayIsOfTheExpertItself) {
  Hedging hedging(2, Hedging::Options());
  EXPECT_EQ(hedging.FirstAttempt(0), absl::InfiniteDuration());
  for (int i = 0; i < 20; ++i) hedging.Observe(0, absl::Milliseconds(3));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(hedging.FirstAttempt(0)), 3, 1e-3);
  EXPECT_EQ(hedging.FirstAttempt(1), absl::InfiniteDuration());
}

// What is overtaken is seen only up to then. The quantile must neither fall, which would hedge more
// and more, nor rise with it.
TEST(HedgingTest, TheQuantileStaysWhereAttemptsAreOvertaken) {
  const uint64_t seed = 3;
  CounterRandom random(seed, 0);
  Hedging hedging(1, Hedging::Options{.quantile = 0.95, .extra_dispatches = 1});
  uint64_t slow = 0;
  constexpr int kRequests = 40'000;
  for (int i = 0; i < kRequests; ++i) {
    const double latency = 0.005 + 0.010 * random.Uniform();
    const double delay = absl::ToDoubleSeconds(hedging.FirstAttempt(0));
    if (latency <= delay) {
      hedging.Observe(0, absl::Seconds(latency));
    } else {
      ++slow;
      hedging.Observe(0, absl::Seconds(delay + 0.0001));  // overtaken at once
    }
  }
  const double share = static_cast<double>(slow) / kRequests;
  // Quantiles of windows of 400 scatter by sqrt(.95 * .05 / 400) = 0.011 of rank; the mean over a
  // hundred windows by a tenth of that. Being found anew for every sixteenth only adds a little.
  EXPECT_NEAR(share, 0.05, 0.01) << "seed " << seed;
}

TEST(HedgingTest, SecondAttemptsStayWithinTheirShareWhateverIsSlow) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CounterRandom random(seed, 0);
    Hedging hedging(3, Hedging::Options{.quantile = 0.9, .extra_dispatches = 0.05});
    uint64_t first = 0, second = 0;
    for (int i = 0; i < 3000; ++i) {
      const size_t expert = random.Below(3);
      ++first;
      hedging.FirstAttempt(expert);
      // Long stretches in which everything is slow, and such in which nothing is.
      const bool slow = (i / 500) % 2 == 0 && random.Uniform() < 0.9;
      if (slow && hedging.TryTake()) ++second;
      hedging.Observe(expert, absl::Milliseconds(slow ? 100 : 5));
      ASSERT_LE(20 * second, first);
    }
    EXPECT_GT(second, 60u);  // 1500 slow ones could have 75, and half of those at least
  }
}

}  // namespace
}  // namespace penstock::router
