#include "common/retry_budget.h"

#include <chrono>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr absl::Time kStart = absl::FromUnixSeconds(1'000'000);

TEST(RetryBudgetTest, BeginsWithTenSecondsOfTheMinimum) {
  RetryBudget budget({.share = 0, .min_per_second = 2}, kStart);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(budget.TryTake(kStart)) << i;
  EXPECT_FALSE(budget.TryTake(kStart));
  EXPECT_FALSE(budget.TryTake(kStart + absl::Milliseconds(499)));
  EXPECT_TRUE(budget.TryTake(kStart + absl::Milliseconds(501)));
}

TEST(RetryBudgetTest, RequestsBringTheirShare) {
  RetryBudget budget({.share = 0.25, .min_per_second = 0}, kStart);
  EXPECT_FALSE(budget.TryTake(kStart));
  for (int i = 0; i < 4; ++i) budget.RequestCame(kStart);
  EXPECT_TRUE(budget.TryTake(kStart));
  EXPECT_FALSE(budget.TryTake(kStart));
}

TEST(RetryBudgetTest, HoldsTenSecondsIncomeAtTheRateOfLate) {
  RetryBudget budget({.share = 0.1, .min_per_second = 1}, kStart);
  absl::Time now = kStart;
  for (int i = 0; i < 60'000; ++i) {  // 100 a second for ten minutes
    now += absl::Milliseconds(10);
    budget.RequestCame(now);
  }
  // 10 s of 1 a second and of a tenth of 100 a second; the sum over ages in steps of 10 ms.
  EXPECT_NEAR(budget.tokens(now), 110, 0.1);
  // A minute without requests leaves exp(-6) of them.
  EXPECT_NEAR(budget.tokens(now + absl::Minutes(1)), 10.25, 0.05);
}

TEST(RetryBudgetTest, WithoutAnythingNothingIsAskedAgain) {
  RetryBudget budget({.share = 0, .min_per_second = 0}, kStart);
  for (int i = 0; i < 1000; ++i) budget.RequestCame(kStart);
  EXPECT_FALSE(budget.TryTake(kStart + absl::Hours(1)));
}

// Between any two moments no more than what was there and came in.
TEST(RetryBudgetPropertyTest, TheBoundHoldsOnRandomHistories) {
  const auto seed =
      static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  struct Moment {
    absl::Time at;
    double tokens = 0;
    uint64_t requests = 0;
    uint64_t taken = 0;
  };
  for (uint64_t history = 0; history < 20; ++history) {
    CounterRandom random(seed, history);
    const RetryBudgetOptions options{random.Uniform(), 20 * random.Uniform()};
    RetryBudget budget(options, kStart);
    Moment moment{kStart};
    std::vector<Moment> moments;
    const double rate = 1 + 1000 * random.Uniform();
    for (int step = 0; step < 3000; ++step) {
      if (step % 30 == 0) {
        moment.tokens = budget.tokens(moment.at);
        ASSERT_LE(moment.tokens, 10 * options.min_per_second +
                                     options.share * static_cast<double>(moment.requests) + 1e-9);
        moments.push_back(moment);
      }
      moment.at += absl::Seconds(random.Uniform() * 2 / rate);
      if (random.Below(3) != 0) {
        budget.RequestCame(moment.at);
        ++moment.requests;
      } else {
        moment.taken += budget.TryTake(moment.at);
      }
    }
    moments.push_back(moment);
    for (size_t a = 0; a < moments.size(); ++a) {
      for (size_t b = a + 1; b < moments.size(); ++b) {
        const double came =
            options.share * static_cast<double>(moments[b].requests - moments[a].requests) +
            options.min_per_second * absl::ToDoubleSeconds(moments[b].at - moments[a].at);
        ASSERT_LE(static_cast<double>(moments[b].taken - moments[a].taken),
                  moments[a].tokens + came + 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace penstock
