#include "gateway/admission/concurrency_limit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

// Requests without end in front of a platform, of which as many are let in as the limit says.
// Seconds; nothing waits for real.
class Simulation {
 public:
  // When a request that is let in at `now` is answered.
  using Platform = std::function<double(double now)>;

  Simulation(ConcurrencyLimit& limit, Platform platform, absl::Duration allowed,
             size_t demand = 1e6)
      : limit_(limit), platform_(std::move(platform)), allowed_(allowed), demand_(demand) {}

  void SetDemand(size_t demand) { demand_ = demand; }

  // Answers a second over `seconds`.
  double Run(double seconds) {
    const double start = now_;
    size_t answers = 0;
    Fill();
    while (!under_way_.empty() && under_way_.top().first < start + seconds) {
      const auto [ended, began] = under_way_.top();
      now_ = ended;
      limit_.Answered(absl::Seconds(ended - began), allowed_,
                      static_cast<uint32_t>(under_way_.size()),
                      absl::UnixEpoch() + absl::Seconds(now_));
      under_way_.pop();
      ++answers;
      Fill();
    }
    now_ = start + seconds;
    return static_cast<double>(answers) / seconds;
  }

 private:
  void Fill() {
    while (under_way_.size() < std::min<size_t>(demand_, limit_.limit())) {
      under_way_.push({platform_(now_), now_});
    }
    if (under_way_.size() < demand_) limit_.Bound();
  }

  ConcurrencyLimit& limit_;
  const Platform platform_;
  const absl::Duration allowed_;
  size_t demand_;
  double now_ = 0;
  using Request = std::pair<double, double>;  // ends, began
  std::priority_queue<Request, std::vector<Request>, std::greater<>> under_way_;
};

// So many places, each taken for so long; the others wait in order of arrival.
class Slots {
 public:
  Slots(size_t count, double seconds) : free_at_(count, 0), seconds_(seconds) {}
  void Add(size_t count) { free_at_.resize(free_at_.size() + count, 0); }
  double operator()(double now) {
    const auto first = std::min_element(free_at_.begin(), free_at_.end());
    return *first = std::max(now, *first) + seconds_;
  }

 private:
  std::vector<double> free_at_;
  const double seconds_;
};

ConcurrencyLimit::Options UpTo(uint32_t most) {
  return {.adaptive = true, .least = 4, .most = most};
}

TEST(ConcurrencyLimitTest, StartsAtTheMost) {
  EXPECT_EQ(ConcurrencyLimit(UpTo(100)).limit(), 100u);
}

TEST(ConcurrencyLimitTest, LeavesTheQueueWhereTurnsAreFairAndKeepsThePlatformBusy) {
  ConcurrencyLimit limit(UpTo(1024));
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::Milliseconds(500));
  // At first all of 1024 go in, and each fall waits for as many as were in before it.
  simulation.Run(10);
  for (int second = 0; second < 60; ++second) {
    EXPECT_NEAR(simulation.Run(1), 250, 2.5) << second;
    // Half of 500 ms at 250 a second is 62; the next steps are a fall by a twentieth and a rise.
    EXPECT_GE(limit.limit(), 50u) << second;
    EXPECT_LE(limit.limit(), 70u) << second;
  }
}

TEST(ConcurrencyLimitTest, WhereThereAreNoDeadlinesThereIsNothingToMiss) {
  ConcurrencyLimit limit(UpTo(1024));
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::InfiniteDuration());
  simulation.Run(30);
  EXPECT_EQ(limit.limit(), 1024u);
}

TEST(ConcurrencyLimitTest, LatenciesOfManySizesAreNoCongestion) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    ConcurrencyLimit limit(UpTo(300));
    CounterRandom random(seed, 0);
    // Lognormal, median 50 ms, sigma 1.5: one in a hundred takes 1.6 s. Nobody waits for anybody.
    const auto platform = [&](double now) {
      const double normal =
          std::sqrt(-2 * std::log(1 - random.Uniform())) * std::cos(2 * M_PI * random.Uniform());
      return now + 0.050 * std::exp(1.5 * normal);
    };
    Simulation simulation(limit, platform, absl::Milliseconds(500));
    for (int second = 0; second < 60; ++second) {
      simulation.Run(1);
      ASSERT_EQ(limit.limit(), 300u) << seed << ", " << second;
    }
  }
}

// Latency grows with load long before the platform is full: what a limit at twice the least latency
// takes for congestion.
TEST(ConcurrencyLimitTest, BatchesThatGrowAreNoCongestion) {
  ConcurrencyLimit limit(UpTo(256));
  // Answers leave at the ends of batches; a batch takes 2 ms and 0.1 ms for each of at most 64 rows.
  size_t rows = 1;
  double ends = 0;
  size_t in_batch = 0;
  const auto platform = [&](double now) {
    if (now >= ends || in_batch >= rows) {
      ends = std::max(now, ends) + 0.002 + static_cast<double>(rows) * 0.0001;
      in_batch = 0;
    }
    ++in_batch;
    return ends;
  };
  Simulation simulation(limit, platform, absl::Milliseconds(500));
  simulation.SetDemand(1);
  EXPECT_NEAR(simulation.Run(10), 1 / 0.0021, 5);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(limit.least_latency()), 2.1, 0.1);
  rows = 64;
  simulation.SetDemand(1000);
  EXPECT_NEAR(simulation.Run(20), 64 / 0.0084, 100);  // 16 times the throughput and the latency
  EXPECT_EQ(limit.limit(), 256u);
}

TEST(ConcurrencyLimitTest, AFallThatDidNotHelpIsUndone) {
  ConcurrencyLimit limit(UpTo(200));
  double seconds = 0.040;
  // Nobody waits for anybody: it is the answers that became dear, say other experts are chosen.
  Simulation simulation(
      limit, [&](double now) { return now + seconds; }, absl::Milliseconds(500));
  simulation.Run(10);
  ASSERT_EQ(limit.limit(), 200u);
  seconds = 0.300;
  simulation.Run(10);
  EXPECT_GE(simulation.Run(20), 0.97 * 200 / 0.300);
  EXPECT_EQ(limit.limit(), 200u);
}

// Windows of what is told directly.
class Windows {
 public:
  explicit Windows(ConcurrencyLimit& limit) : limit_(limit) {}
  // One of 60 ends over so many milliseconds, after the last fall has settled.
  void Pass(absl::Duration took, uint32_t in_flight, double over_ms = 600,
            absl::Duration allowed = absl::Milliseconds(500)) {
    limit_.Bound();
    for (int i = 0; i < 60; ++i) {
      now_ += absl::Milliseconds(over_ms / 60);
      if (late_) {
        limit_.Late(took, allowed, in_flight, now_);
      } else {
        limit_.Answered(took, allowed, in_flight, now_);
      }
    }
  }
  void AreLate() { late_ = true; }
  // What was in flight when the limit fell ends.
  void Settle(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) limit_.Ended();
  }

 private:
  ConcurrencyLimit& limit_;
  absl::Time now_ = absl::UnixEpoch();
  bool late_ = false;
};

TEST(ConcurrencyLimitTest, OneFallThatDidNotHelpDoesNotMakeTheLeastLatencyDoubted) {
  ConcurrencyLimit limit(UpTo(100));
  Windows windows(limit);
  windows.Pass(absl::Milliseconds(100), 100);
  ASSERT_EQ(limit.least_latency(), absl::Milliseconds(100));
  for (int fall = 1; fall <= 2; ++fall) {
    windows.Pass(absl::Milliseconds(450), 100);
    ASSERT_LT(limit.limit(), 100u);
    windows.Settle(100);
    windows.Pass(absl::Milliseconds(450), limit.limit(), 6000);  // a tenth of the throughput
    EXPECT_EQ(limit.limit(), 100u);
    EXPECT_EQ(limit.least_latency(), absl::Milliseconds(fall == 1 ? 100 : 200));
  }
}

TEST(ConcurrencyLimitTest, FallsThatDidNotHelpAreForgottenOnceAllIsWell) {
  ConcurrencyLimit limit(UpTo(100));
  Windows windows(limit);
  windows.Pass(absl::Milliseconds(100), 100);
  for (int fall = 0; fall < 5; ++fall) {
    windows.Pass(absl::Milliseconds(450), 100);
    windows.Settle(100);
    windows.Pass(absl::Milliseconds(450), limit.limit(), 6000);
    ASSERT_EQ(limit.limit(), 100u);
    windows.Pass(absl::Milliseconds(150), 100);  // all is well
    EXPECT_EQ(limit.least_latency(), absl::Milliseconds(100));
  }
}

TEST(ConcurrencyLimitTest, WhereNoDeadlineCanBeKeptTheLimitDoesNotRise) {
  ConcurrencyLimit limit(UpTo(100));
  Windows windows(limit);
  windows.Pass(absl::Milliseconds(100), 100);
  windows.Pass(absl::Milliseconds(450), 100);
  windows.Settle(100);
  const uint32_t fallen = limit.limit();
  ASSERT_LT(fallen, 100u);
  for (int i = 0; i < 5; ++i) {
    windows.Pass(absl::Milliseconds(150), fallen, 600, absl::Milliseconds(50));
    EXPECT_EQ(limit.limit(), fallen);
  }
  // Without deadlines there is nothing to miss.
  windows.Pass(absl::Milliseconds(150), fallen, 600, absl::InfiniteDuration());
  EXPECT_GT(limit.limit(), fallen);
}

TEST(ConcurrencyLimitTest, FallsInAFloodThatWasThereBeforeAnyAnswer) {
  ConcurrencyLimit limit(UpTo(1000));
  Windows windows(limit);
  EXPECT_TRUE(limit.TellsOfThePace(absl::Milliseconds(400), absl::Milliseconds(500)));
  EXPECT_FALSE(limit.TellsOfThePace(absl::Milliseconds(399), absl::Milliseconds(500)));
  windows.AreLate();
  uint32_t before = limit.limit();
  while (before > 4) {
    windows.Pass(absl::Milliseconds(500), before);
    windows.Settle(before);
    ASSERT_LT(limit.limit(), before);
    before = limit.limit();
  }
  EXPECT_EQ(limit.least_latency(), absl::InfiniteDuration());
}

TEST(ConcurrencyLimitTest, RisesWithThePlatform) {
  ConcurrencyLimit limit(UpTo(1024));
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::Milliseconds(500));
  simulation.Run(12);
  ASSERT_LE(limit.limit(), 70u);
  slots.Add(90);
  simulation.Run(3);
  EXPECT_GE(simulation.Run(5), 0.98 * 2500);
}

TEST(ConcurrencyLimitTest, ALittleDemandMeetsNoLimit) {
  ConcurrencyLimit limit(UpTo(64));
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::Milliseconds(500), 10);
  EXPECT_NEAR(simulation.Run(30), 250, 2.5);
  EXPECT_EQ(limit.limit(), 64u);
}

TEST(ConcurrencyLimitTest, DeadlinesThatCannotBeKeptAnywaySayNothing) {
  ConcurrencyLimit limit(UpTo(64));
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::Milliseconds(1));
  simulation.Run(30);
  EXPECT_EQ(limit.limit(), 64u);
}

TEST(ConcurrencyLimitTest, WhereItIsOffTheLimitIsTheMost) {
  ConcurrencyLimit limit({.adaptive = false, .least = 4, .most = 500});
  Slots slots(10, 0.040);
  Simulation simulation(
      limit, [&](double now) { return slots(now); }, absl::Milliseconds(500));
  simulation.Run(10);
  EXPECT_EQ(limit.limit(), 500u);
}

TEST(ConcurrencyLimitTest, ChangedBoundsHoldAtOnce) {
  ConcurrencyLimit limit(UpTo(1024));
  limit.Change(UpTo(2048));
  EXPECT_EQ(limit.limit(), 2048u);
  limit.Change(UpTo(10));
  EXPECT_EQ(limit.limit(), 10u);
}

TEST(ConcurrencyLimitTest, StaysWithinItsBoundsWhateverComes) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    CounterRandom random(seed, 0);
    const uint32_t least = 1 + random.Below(20);
    const uint32_t most = least + random.Below(200);
    ConcurrencyLimit limit({.adaptive = true, .least = least, .most = most});
    absl::Time now = absl::UnixEpoch();
    for (int i = 0; i < 5000; ++i) {
      now += absl::Milliseconds(random.Below(20));
      if (random.Below(3) == 0) limit.Bound();
      if (random.Below(10) == 0) {
        limit.Ended();
      } else {
        const auto took = absl::Microseconds(std::exp(20 * random.Uniform()) - 1);
        const absl::Duration allowed = random.Below(4) == 0
                                           ? absl::InfiniteDuration()
                                           : absl::Milliseconds(1000 * random.Uniform() - 10);
        const uint32_t in_flight = 1 + random.Below(2 * most);
        if (random.Below(3) == 0) {
          limit.Late(took, allowed, in_flight, now);
        } else {
          limit.Answered(took, allowed, in_flight, now);
        }
      }
      ASSERT_GE(limit.limit(), least) << seed;
      ASSERT_LE(limit.limit(), most) << seed;
    }
  }
}

}  // namespace
}  // namespace penstock::gateway
