#include "router_service/resilience/circuit_breaker.h"

#include <chrono>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

constexpr absl::Time kStart = absl::FromUnixSeconds(1'000'000);

BreakerOptions Options() {
  BreakerOptions options;
  options.consecutive_failures = 3;
  options.min_requests = 10;
  options.failure_rate = 0.5;
  options.window = absl::Seconds(10);
  options.open_time = absl::Seconds(1);
  options.max_open_time = absl::Seconds(4);
  options.probes = 2;
  options.probe_interval = absl::Milliseconds(100);
  return options;
}

// A breaker and the time that it is told.
class CircuitBreakerTest : public testing::Test {
 protected:
  bool End(AttemptOutcome outcome) { return breaker_.Record(outcome, now_, now_); }
  void Fail(int times) {
    for (int i = 0; i < times; ++i) End(AttemptOutcome::kFailure);
  }
  // Until it is closed, with probes that are good.
  void Recover() {
    while (!breaker_.admits()) {
      now_ += absl::Milliseconds(50);
      if (breaker_.TakeProbe(now_)) breaker_.ProbeEnded(true, now_);
    }
  }
  absl::Duration OpenFor() const { return breaker_.open_until() - now_; }

  absl::Time now_ = kStart;
  CircuitBreaker breaker_{Options(), /*seed=*/1};
};

TEST_F(CircuitBreakerTest, OpensAfterFailuresInARow) {
  Fail(2);
  EXPECT_TRUE(breaker_.admits());
  EXPECT_TRUE(End(AttemptOutcome::kFailure));
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, LatenessOpensNothingAndCountsAmongAnswers) {
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(End(AttemptOutcome::kLate));
  EXPECT_TRUE(breaker_.admits());
  EXPECT_EQ(breaker_.Recent(now_).late, 100u);
  EXPECT_EQ(breaker_.Recent(now_).success_rate(), 0.0);
  EXPECT_EQ(breaker_.Recent(now_).failure_rate(), 0.0);
  EXPECT_EQ(breaker_.Recent(now_).count(), 100u);
}

TEST_F(CircuitBreakerTest, ASuccessBreaksTheRow) {
  Fail(2);
  End(AttemptOutcome::kSuccess);
  Fail(2);
  EXPECT_TRUE(breaker_.admits());
}

TEST_F(CircuitBreakerTest, WhatSaysNothingNeitherCountsNorBreaksTheRow) {
  Fail(2);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(End(AttemptOutcome::kNothing));
  EXPECT_TRUE(breaker_.admits());
  Fail(1);
  EXPECT_FALSE(breaker_.admits());
}

TEST_F(CircuitBreakerTest, OpensByItsRateOnceThereAreEnough) {
  for (int i = 0; i < 4; ++i) {
    Fail(1);
    End(AttemptOutcome::kSuccess);
  }
  EXPECT_TRUE(breaker_.admits());  // half of eight
  End(AttemptOutcome::kSuccess);
  Fail(1);
  EXPECT_FALSE(breaker_.admits());  // half of ten
}

TEST_F(CircuitBreakerTest, ForgetsWhatIsOlderThanTheWindow) {
  for (int i = 0; i < 4; ++i) {
    Fail(1);
    End(AttemptOutcome::kSuccess);
  }
  now_ += absl::Seconds(10);
  for (int i = 0; i < 5; ++i) End(AttemptOutcome::kSuccess);
  Fail(1);  // one of six; with the older ones five of fourteen
  EXPECT_EQ(breaker_.Recent(now_).failures, 1u);
  EXPECT_EQ(breaker_.Recent(now_).count(), 6u);
  EXPECT_TRUE(breaker_.admits());
}

TEST_F(CircuitBreakerTest, StaysOpenForItsTimeAndUpToAFifthMore) {
  Fail(3);
  EXPECT_GE(OpenFor(), absl::Seconds(1));
  EXPECT_LE(OpenFor(), absl::Seconds(1.2));
  now_ = breaker_.open_until() - absl::Nanoseconds(1);
  EXPECT_FALSE(breaker_.TakeProbe(now_));
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  now_ = breaker_.open_until();
  EXPECT_TRUE(breaker_.TakeProbe(now_));
  EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, BreakersDoNotProbeTogether) {
  CircuitBreaker other(Options(), /*seed=*/2);
  Fail(3);
  for (int i = 0; i < 3; ++i) other.Record(AttemptOutcome::kFailure, now_, now_);
  EXPECT_NE(breaker_.open_until(), other.open_until());
}

TEST_F(CircuitBreakerTest, GoodProbesCloseItWithoutARequest) {
  Fail(3);
  now_ = breaker_.open_until();
  ASSERT_TRUE(breaker_.TakeProbe(now_));
  EXPECT_FALSE(breaker_.TakeProbe(now_));  // one at a time
  breaker_.ProbeEnded(true, now_);
  EXPECT_FALSE(breaker_.admits());
  EXPECT_FALSE(breaker_.TakeProbe(now_ + absl::Milliseconds(99)));
  now_ += absl::Milliseconds(100);
  ASSERT_TRUE(breaker_.TakeProbe(now_));
  breaker_.ProbeEnded(true, now_);
  EXPECT_EQ(breaker_.state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ABadProbeOpensItForTheBaseTimeAndTheCountBeginsAnew) {
  Fail(3);
  for (int round = 0; round < 8; ++round) {  // a replica that is dead for long is not probed less
    now_ = breaker_.open_until();
    ASSERT_TRUE(breaker_.TakeProbe(now_));
    breaker_.ProbeEnded(true, now_);
    now_ += absl::Milliseconds(100);
    ASSERT_TRUE(breaker_.TakeProbe(now_));
    breaker_.ProbeEnded(false, now_);
    ASSERT_EQ(breaker_.state(), BreakerState::kOpen);
    EXPECT_LE(OpenFor(), absl::Seconds(1.2));
  }
  Recover();
}

TEST_F(CircuitBreakerTest, AFailureAfterItClosedOpensItForTwiceAsLongUpToTheBound) {
  Fail(3);
  for (const double seconds : {2, 4, 4}) {
    Recover();
    Fail(1);
    ASSERT_EQ(breaker_.state(), BreakerState::kOpen);
    EXPECT_GE(OpenFor(), absl::Seconds(seconds));
    EXPECT_LE(OpenFor(), absl::Seconds(1.2 * seconds));
  }
}

TEST_F(CircuitBreakerTest, AWindowAfterItClosedTheTimesBeginAnew) {
  Fail(3);
  Recover();
  Fail(1);
  Recover();
  End(AttemptOutcome::kSuccess);
  now_ += absl::Seconds(10);
  Fail(3);
  ASSERT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_LE(OpenFor(), absl::Seconds(1.2));
}

TEST_F(CircuitBreakerTest, ASuccessEndsProbation) {
  Fail(3);
  Recover();
  End(AttemptOutcome::kSuccess);
  Fail(2);
  EXPECT_TRUE(breaker_.admits());
}

TEST_F(CircuitBreakerTest, WhatBeganBeforeItClosedSaysNothing) {
  const absl::Time before = now_;
  Fail(3);
  Recover();
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(breaker_.Record(AttemptOutcome::kFailure, before, now_));
  }
  EXPECT_TRUE(breaker_.admits());
}

TEST_F(CircuitBreakerTest, RequestsMoveAnOpenOneNoMore) {
  Fail(3);
  const absl::Time until = breaker_.open_until();
  for (int i = 0; i < 10; ++i) End(AttemptOutcome::kSuccess);
  Fail(10);
  EXPECT_EQ(breaker_.state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.open_until(), until);
  now_ = until;
  ASSERT_TRUE(breaker_.TakeProbe(now_));
  End(AttemptOutcome::kSuccess);
  Fail(10);
  EXPECT_EQ(breaker_.state(), BreakerState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, OffItNeverOpensAndSettingItOffClosesIt) {
  Fail(3);
  BreakerOptions options = Options();
  options.off = true;
  breaker_.SetOptions(options);
  EXPECT_TRUE(breaker_.admits());
  Fail(1000);
  EXPECT_TRUE(breaker_.admits());
}

// Random histories against what must hold in every one of them.
TEST(CircuitBreakerPropertyTest, HoldsItsPromisesOnRandomHistories) {
  const auto seed =
      static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  uint64_t openings = 0, closings = 0;
  for (uint64_t history = 0; history < 200; ++history) {
    CounterRandom random(seed, history);
    const BreakerOptions options = Options();
    CircuitBreaker breaker(options, seed + history);
    absl::Time now = kStart;
    absl::Time closed_at = kStart;
    bool probing = false;
    uint32_t good = 0;
    std::vector<absl::Time> running;  // attempts, by start
    const double failing = random.Uniform();
    for (int step = 0; step < 400; ++step) {
      now += absl::Milliseconds(static_cast<double>(random.Below(300)));
      const BreakerState before = breaker.state();
      switch (random.Below(4)) {
        case 0:
          running.push_back(now);
          break;
        case 1: {
          if (running.empty()) break;
          const size_t which = random.Below(running.size());
          const absl::Time started = running[which];
          running.erase(running.begin() + static_cast<ptrdiff_t>(which));
          const AttemptOutcome outcome = random.Below(4) == 0         ? AttemptOutcome::kNothing
                                         : random.Below(8) == 0       ? AttemptOutcome::kLate
                                         : random.Uniform() < failing ? AttemptOutcome::kFailure
                                                                      : AttemptOutcome::kSuccess;
          const bool opened = breaker.Record(outcome, started, now);
          // Only a failure of a closed one's own time opens it, and nothing else is moved by
          // requests.
          ASSERT_EQ(opened, breaker.state() != before);
          if (opened) {
            ++openings;
            ASSERT_EQ(before, BreakerState::kClosed);
            ASSERT_EQ(breaker.state(), BreakerState::kOpen);
            ASSERT_EQ(outcome, AttemptOutcome::kFailure);
            ASSERT_TRUE(started >= closed_at || closed_at == kStart);
            ASSERT_GE(breaker.open_until() - now, options.open_time);
            ASSERT_LE(breaker.open_until() - now, 1.2 * options.max_open_time);
          }
          break;
        }
        case 2: {
          const absl::Time until = breaker.open_until();
          const bool due = breaker.TakeProbe(now);
          // An open one refuses until its time is over, a closed one is not probed.
          if (before == BreakerState::kOpen) {
            ASSERT_EQ(breaker.state() == BreakerState::kHalfOpen, now >= until);
            ASSERT_TRUE(!due || now >= until);
            if (due) good = 0;
          } else {
            ASSERT_EQ(breaker.state(), before);
            ASSERT_TRUE(!due || before == BreakerState::kHalfOpen);
          }
          ASSERT_TRUE(!due || !probing);
          probing = probing || due;
          break;
        }
        case 3: {
          if (!probing) break;
          probing = false;
          const bool good_one = random.Uniform() >= failing;
          breaker.ProbeEnded(good_one, now);
          ASSERT_EQ(before, BreakerState::kHalfOpen);
          good = good_one ? good + 1 : 0;
          // As many good ones in a row close it as it takes, and a bad one opens it.
          const BreakerState wanted = !good_one                ? BreakerState::kOpen
                                      : good >= options.probes ? BreakerState::kClosed
                                                               : BreakerState::kHalfOpen;
          ASSERT_EQ(breaker.state(), wanted);
          if (wanted == BreakerState::kClosed) {
            ++closings;
            closed_at = now;
            good = 0;
          }
          break;
        }
      }
      ASSERT_EQ(breaker.admits(), breaker.state() == BreakerState::kClosed);
    }
    // No request comes any more: probes alone close it, within what it takes at most.
    const absl::Time quiet = now;
    while (!breaker.admits()) {
      ASSERT_LE(now - quiet, 1.2 * options.max_open_time + absl::Seconds(1));
      if (probing || breaker.TakeProbe(now)) breaker.ProbeEnded(true, now);
      probing = false;
      now += absl::Milliseconds(50);
    }
  }
  EXPECT_GT(openings, 200u);
  EXPECT_GT(closings, 100u);
}

// Whatever a client does wrong, and however often, opens nobody's breaker.
TEST(CircuitBreakerPropertyTest, AClientsErrorsNeverMoveIt) {
  const auto seed =
      static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const absl::StatusCode clients[] = {
      absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound,
      absl::StatusCode::kAlreadyExists,   absl::StatusCode::kPermissionDenied,
      absl::StatusCode::kUnauthenticated, absl::StatusCode::kFailedPrecondition,
      absl::StatusCode::kOutOfRange,      absl::StatusCode::kUnimplemented,
      absl::StatusCode::kAborted,         absl::StatusCode::kResourceExhausted,
      absl::StatusCode::kCancelled,       absl::StatusCode::kDeadlineExceeded};
  BreakerOptions options = Options();
  options.consecutive_failures = 1;
  options.failure_rate = 0.01;
  CircuitBreaker breaker(options, seed);
  CounterRandom random(seed, 0);
  absl::Time now = kStart;
  for (int i = 0; i < 100'000; ++i) {
    now += absl::Microseconds(static_cast<double>(random.Below(5000)));
    AttemptEnd end;
    end.status = absl::Status(clients[random.Below(std::size(clients))], "told");
    end.cancelled_by_us = true;  // of the CANCELLED
    // A deadline that was too short for what was expected.
    end.granted = end.lasted = absl::Milliseconds(static_cast<double>(random.Below(100)));
    end.expected = absl::Milliseconds(100);
    ASSERT_FALSE(breaker.Record(JudgeAttempt(end), now, now)) << end.status;
    ASSERT_TRUE(breaker.admits());
  }
  EXPECT_EQ(breaker.Recent(now).count(), 0u);
}

}  // namespace
}  // namespace penstock::router
