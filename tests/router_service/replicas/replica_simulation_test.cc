// Replicas that stall or are slow, in simulated time: who is asked, and what hedging takes and
// gives.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/pools/replica.h"
#include "router_service/replicas/hedging.h"
#include "router_service/replicas/replica_choice.h"
#include "tests/support/fake_infer_target.h"

namespace penstock::router {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000'000);

struct Plan {
  uint64_t seed = 1;
  size_t replicas = 3;
  double rate = 300;  // requests a second, a Poisson process
  double seconds = 20;
  double base_s =
      0.005;           // of an answer, give or take a fifth, and a tenth more for each ahead of it
  double factor = 20;  // of answers that stall, and of a slow replica's
  double stall_share = 0;
  std::optional<size_t> slow;  // a replica, from slow_from to slow_to
  double slow_from = 0;
  double slow_to = 1e9;
  std::optional<Hedging::Options> hedging;
  ReplicaChoice::Options choice;
};

struct Dispatch {
  double at_s = 0;  // since the start
  size_t replica = 0;
};

struct Outcome {
  std::vector<double> latency_s;  // ascending
  std::vector<Dispatch> first;    // first attempts
  uint64_t second = 0;

  double Quantile(double q) const {
    return latency_s[static_cast<size_t>(q * static_cast<double>(latency_s.size()))];
  }
  // Of first attempts from then on.
  double ShareOf(size_t replica, double from_s, double to_s = 1e9) const {
    double all = 0, there = 0;
    for (const Dispatch& dispatch : first) {
      if (dispatch.at_s < from_s || dispatch.at_s >= to_s) continue;
      ++all;
      there += dispatch.replica == replica;
    }
    return there / all;
  }
};

class Simulation {
 public:
  explicit Simulation(Plan plan)
      : plan_(std::move(plan)), random_(plan_.seed, 0), choice_(1, plan_.choice) {
    for (size_t i = 0; i < plan_.replicas; ++i) {
      targets_.emplace_back();
      replicas_.emplace_back(targets_.back());
    }
    if (plan_.hedging) hedging_.emplace(1, *plan_.hedging);
  }

  Outcome Run() {
    At(0, Event::kArrival, 0, 0);
    while (!events_.empty()) {
      const auto next = events_.begin();
      now_s_ = next->first.first;
      const Event event = next->second;
      events_.erase(next);
      switch (event.kind) {
        case Event::kArrival:
          Arrive();
          break;
        case Event::kAnswer:
          Answered(event.request, event.attempt);
          break;
        case Event::kSlow:
          Hedge(event.request);
          break;
      }
    }
    std::sort(outcome_.latency_s.begin(), outcome_.latency_s.end());
    return std::move(outcome_);
  }

 private:
  struct Event {
    enum Kind { kArrival, kAnswer, kSlow };
    Kind kind;
    size_t request = 0;
    size_t attempt = 0;
  };
  struct Attempt {
    size_t replica = 0;
    double started_s = 0;
    double ahead = 0;
  };
  struct Request {
    double arrived_s = 0;
    std::vector<Attempt> attempts;
    bool answered = false;
  };

  absl::Time now() const { return kStart + absl::Seconds(now_s_); }

  void At(double seconds, Event::Kind kind, size_t request, size_t attempt) {
    events_.emplace(std::pair(seconds, next_event_++), Event{kind, request, attempt});
  }

  void Arrive() {
    const size_t request = requests_.size();
    requests_.push_back({now_s_, {}, false});
    const size_t replica = choice_.PickFirst(0, Views(), random_).value();
    outcome_.first.push_back({now_s_, replica});
    Begin(request, replica);
    if (hedging_) {
      const absl::Duration delay = hedging_->FirstAttempt(0);
      if (delay < absl::InfiniteDuration()) {
        At(now_s_ + absl::ToDoubleSeconds(delay), Event::kSlow, request, 0);
      }
    }
    const double next = now_s_ - std::log(1 - random_.Uniform()) / plan_.rate;
    if (next < plan_.seconds) At(next, Event::kArrival, 0, 0);
  }

  std::vector<ReplicaView> Views() const {
    std::vector<ReplicaView> views;
    for (const Replica& replica : replicas_) {
      views.push_back(replica.View(now(), choice_.signal_age()));
      if (views.back().rate == 0) views.back().rate = 1 / plan_.base_s;
    }
    return views;
  }

  void Begin(size_t request, size_t replica) {
    Attempt attempt{replica, now_s_, replicas_[replica].AttemptStarted(now())};
    double seconds = plan_.base_s * (0.8 + 0.4 * random_.Uniform()) * (1 + 0.1 * attempt.ahead);
    const bool slow = plan_.slow == replica && now_s_ >= plan_.slow_from && now_s_ < plan_.slow_to;
    if (random_.Uniform() < plan_.stall_share || slow) seconds *= plan_.factor;
    requests_[request].attempts.push_back(attempt);
    At(now_s_ + seconds, Event::kAnswer, request, requests_[request].attempts.size() - 1);
  }

  void Hedge(size_t index) {
    Request& request = requests_[index];
    if (request.answered) return;
    const std::vector<size_t> tried = {request.attempts[0].replica};
    const size_t replica = choice_.PickAnother(Views(), tried, random_).value();
    if (!hedging_->TryTake()) return;
    ++outcome_.second;
    Begin(index, replica);
  }

  void Answered(size_t index, size_t winner) {
    Request& request = requests_[index];
    if (request.answered) return;
    request.answered = true;
    outcome_.latency_s.push_back(now_s_ - request.arrived_s);
    for (size_t i = 0; i < request.attempts.size(); ++i) {
      const Attempt& attempt = request.attempts[i];
      const absl::Duration latency = absl::Seconds(now_s_ - attempt.started_s);
      replicas_[attempt.replica].AttemptEnded(i == winner, false, latency);
      if (i > winner) continue;  // it was cancelled early: that says nothing
      replicas_[attempt.replica].Observe(attempt.ahead, latency, now());
      if (i == 0 && hedging_) hedging_->Observe(0, latency);
    }
  }

  const Plan plan_;
  CounterRandom random_;
  ReplicaChoice choice_;
  std::optional<Hedging> hedging_;
  std::deque<FakeInferTarget> targets_;
  std::deque<Replica> replicas_;
  double now_s_ = 0;
  uint64_t next_event_ = 0;
  std::map<std::pair<double, uint64_t>, Event> events_;
  std::deque<Request> requests_;
  Outcome outcome_;
};

Outcome Simulate(Plan plan) { return Simulation(std::move(plan)).Run(); }

void Report(const char* name, uint64_t seed, const char* what, double value) {
  std::printf("[ figure   ] %s seed=%llu %s=%.4g\n", name, static_cast<unsigned long long>(seed),
              what, value);
}

TEST(ReplicaSimulation, HedgingCutsTheTailOfStallsWithinItsShare) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Plan plan{.seed = seed, .seconds = 60, .stall_share = 0.02};
    const Outcome without = Simulate(plan);
    plan.hedging = Hedging::Options();
    const Outcome with = Simulate(plan);
    const double share = static_cast<double>(with.second) / static_cast<double>(with.first.size());
    const double times = without.Quantile(0.99) / with.Quantile(0.99);
    Report("stalls", seed, "p99_without_ms", without.Quantile(0.99) * 1e3);
    Report("stalls", seed, "p99_with_ms", with.Quantile(0.99) * 1e3);
    Report("stalls", seed, "extra_dispatches", share);
    EXPECT_GE(times, 3);
    EXPECT_LE(share, 0.05);
    EXPECT_GT(share, 0.02);  // those that stall, at least
  }
}

TEST(ReplicaSimulation, HedgesStayWithinTheirShareWhenEverythingIsSlow) {
  Plan plan{.seed = 4, .seconds = 30, .stall_share = 0.5};
  plan.hedging = Hedging::Options{.quantile = 0.5, .extra_dispatches = 0.05};
  const Outcome outcome = Simulate(plan);
  EXPECT_LE(20 * outcome.second, outcome.first.size());
  EXPECT_GT(25 * outcome.second, outcome.first.size());
}

TEST(ReplicaSimulation, AReplicaThatIsSlowForGoodIsLeftWithinTwoSeconds) {
  for (const double rate : {60.0, 300.0, 3000.0}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " rate " << rate);
      const Outcome outcome =
          Simulate({.seed = seed, .rate = rate, .seconds = 25, .slow = 1, .slow_from = 5});
      const double before = outcome.ShareOf(1, 1, 5);
      const double after = outcome.ShareOf(1, 7);
      Report("slow", seed, "share_before", before);
      Report("slow", seed, "share_after_2s", after);
      EXPECT_LT(after, 0.01);
      EXPECT_GT(before, 0.05);
    }
  }
}

TEST(ReplicaSimulation, WithHedgingItIsLeftAsSoon) {
  Plan plan{.seed = 2, .seconds = 25, .slow = 1, .slow_from = 5};
  plan.hedging = Hedging::Options();
  const Outcome outcome = Simulate(plan);
  EXPECT_LT(outcome.ShareOf(1, 7), 0.01);
}

TEST(ReplicaSimulation, AReplicaThatHasRecoveredIsFoundAgain) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Outcome outcome =
        Simulate({.seed = seed, .seconds = 30, .slow = 1, .slow_from = 5, .slow_to = 12});
    EXPECT_LT(outcome.ShareOf(1, 7, 12), 0.01);
    // Probes come every two hundred requests, two thirds of a second; the median of its answers at
    // this load turns with a few of them, or when what is slow is a second old.
    const double after = outcome.ShareOf(1, 16);
    Report("recovery", seed, "share_after_4s", after);
    EXPECT_GT(after, 0.1);
  }
}

TEST(ReplicaSimulation, OfEqualReplicasNoneStarvesAndNoneIsFlooded) {
  for (const double rate : {20.0, 300.0, 3000.0}) {
    const Outcome outcome = Simulate({.seed = 1, .replicas = 8, .rate = rate, .seconds = 20});
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_GT(outcome.ShareOf(i, 1), 0.02) << "rate " << rate;
      EXPECT_LT(outcome.ShareOf(i, 1), 0.5) << "rate " << rate;
    }
    EXPECT_LT(outcome.Quantile(0.99), 0.012) << "rate " << rate;
  }
}

TEST(ReplicaSimulation, TheSameSeedGoesTheSameWay) {
  const Plan plan{.seed = 9, .seconds = 5, .stall_share = 0.02, .hedging = Hedging::Options()};
  const Outcome one = Simulate(plan), two = Simulate(plan);
  EXPECT_EQ(one.latency_s, two.latency_s);
  EXPECT_EQ(one.second, two.second);
}

}  // namespace
}  // namespace penstock::router
