#include "gateway/admission/admission.h"

#include <list>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/notification.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;

struct Events final : AdmissionObserver {
  void Waited(absl::Duration duration) override { waited.push_back(duration); }
  void Shed(absl::string_view pool, ShedReason reason) override { sheds[reason] += pool == "pool"; }
  void LimitChanged(absl::string_view pool, uint32_t limit) override {
    limits[std::string(pool)] = limit;
  }
  void Waiting(uint32_t waiting, uint32_t admitted) override {
    queued = waiting;
    in_flight = admitted;
  }
  uint32_t queued = 0, in_flight = 0;
  std::vector<absl::Duration> waited;
  std::map<ShedReason, int> sheds;
  std::map<std::string, uint32_t> limits;
};

class AdmissionTest : public ::testing::Test {
 protected:
  static config::v1::Admission Config(uint32_t max_in_flight, uint32_t max_queue) {
    config::v1::Admission config;
    config.set_max_in_flight(max_in_flight);
    config.set_max_queue(max_queue);
    return config;
  }
  std::unique_ptr<Admission> Make(uint32_t max_in_flight, uint32_t max_queue) {
    return *Admission::Create(Config(max_in_flight, max_queue), clock_, timers_, observed_);
  }
  // Enters and keeps what comes of it under `name`.
  Admission::WaiterId Enter(Admission& admission, const std::string& name,
                            Admission::Request request) {
    return admission.Enter(request, [this, name](absl::StatusOr<Admission::Ticket> ticket,
                                                 absl::Duration retry) {
      events_.push_back(name + ":" + std::string(absl::StatusCodeToString(ticket.status().code())));
      if (ticket.ok()) tickets_.emplace_back(name, *std::move(ticket));
      retry_after_ = retry;
    });
  }
  Admission::WaiterId Enter(Admission& admission, const std::string& name, uint32_t priority = 5,
                            absl::Time deadline = absl::InfiniteFuture()) {
    return Enter(admission, name, {"pool", "tenant", priority, deadline});
  }
  void Leave(const std::string& name, std::optional<absl::Status> answer = std::nullopt) {
    for (auto it = tickets_.begin(); it != tickets_.end(); ++it) {
      if (it->first != name) continue;
      std::optional<Admission::Ticket> ticket(std::move(it->second));
      tickets_.erase(it);
      if (answer.has_value()) ticket->Answered(*answer);
      return;
    }
    FAIL() << name << " holds no ticket";
  }
  // One after the other: each may let in who waits, and so add to the list.
  void LeaveAll() {
    while (!tickets_.empty()) Leave(tickets_.front().first);
  }
  // So many requests, one after the other, that take so long each.
  void Pass(Admission& admission, int count, absl::Duration each) {
    for (int i = 0; i < count; ++i) {
      Enter(admission, "passing");
      clock_.Advance(each);
      Leave("passing", absl::OkStatus());
    }
    events_.clear();
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  Events observed_;
  std::vector<std::string> events_;
  std::list<std::pair<std::string, Admission::Ticket>> tickets_;
  absl::Duration retry_after_;
};

TEST_F(AdmissionTest, AdmitsAtOnceWhileThereIsRoom) {
  const auto admission = Make(2, 0);
  Enter(*admission, "a");
  Enter(*admission, "b");
  EXPECT_THAT(events_, ElementsAre("a:OK", "b:OK"));
  LeaveAll();
}

TEST_F(AdmissionTest, RefusesWhatTheQueueCannotHold) {
  const auto admission = Make(1, 1);
  Enter(*admission, "running");
  Enter(*admission, "waiting");
  Enter(*admission, "refused");
  EXPECT_THAT(events_, ElementsAre("running:OK", "refused:RESOURCE_EXHAUSTED"));
  EXPECT_EQ(admission->queued(), 1u);
  LeaveAll();
}

TEST_F(AdmissionTest, AdmitsByPriorityThenArrival) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "late", 9);
  Enter(*admission, "first", 0);
  Enter(*admission, "second", 0);
  for (const char* name : {"running", "first", "second"}) Leave(name);
  EXPECT_THAT(events_, ElementsAre("running:OK", "first:OK", "second:OK", "late:OK"));
  Leave("late");
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, GivesUpAtTheDeadlineInTheQueue) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Seconds(1));
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:DEADLINE_EXCEEDED"));
  Leave("running");
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, CancelLeavesTheQueueOnce) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  const Admission::WaiterId id = Enter(*admission, "waiting");
  admission->Cancel(id);
  admission->Cancel(id);
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:CANCELLED"));
  EXPECT_EQ(admission->queued(), 0u);
  Leave("running");
}

TEST_F(AdmissionTest, AnAdmittedWaiterForgetsItsDeadline) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Seconds(1));
  Leave("running");
  EXPECT_EQ(timers_.scheduled(), 0u);
  LeaveAll();
}

TEST_F(AdmissionTest, ALongQueueOfRequestsThatEndAtOnceNeedsNoDeepStack) {
  const auto admission = Make(1, 200'000);
  Enter(*admission, "running");
  int ended = 0;
  for (int i = 0; i < 200'000; ++i) {
    admission->Enter({"pool", "tenant", 5}, [&ended](absl::StatusOr<Admission::Ticket> ticket,
                                                     absl::Duration) { ended += ticket.ok(); });
  }
  Leave("running");
  EXPECT_EQ(ended, 200'000);
  EXPECT_EQ(admission->in_flight(), 0u);
}

TEST_F(AdmissionTest, RefusesLimitsOutOfRange) {
  const auto refused = [](const std::string& field, config::v1::Admission config) {
    const absl::Status status = Admission::Check(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(field));
  };
  refused("max_in_flight", Config(0, 10));
  refused("max_in_flight", Config(1'000'001, 10));
  refused("max_queue", Config(10, 1'000'001));
  config::v1::Admission config = Config(10, 10);
  config.set_min_in_flight(11);
  refused("min_in_flight", config);
  config.set_min_in_flight(0);
  refused("min_in_flight", config);
  config.set_min_in_flight(10);
  EXPECT_TRUE(Admission::Check(config).ok());
  EXPECT_TRUE(Admission::Check(Config(1, 0)).ok());
}

// While one thread empties the queue, who comes on another waits behind who is in it.
TEST_F(AdmissionTest, NewcomersDoNotOvertakeAQueueThatEmpties) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  admission->Enter({"pool", "tenant", 5},
                   [&](absl::StatusOr<Admission::Ticket> ticket, absl::Duration) {
                     events_.push_back("first:OK");
                     { const Admission::Ticket gone = *std::move(ticket); }
                     Enter(*admission, "newcomer");
                   });
  Enter(*admission, "second");
  Leave("running");
  EXPECT_THAT(events_, ElementsAre("running:OK", "first:OK", "second:OK"));
  Leave("second");
  EXPECT_EQ(events_.back(), "newcomer:OK");
  LeaveAll();
}

TEST_F(AdmissionTest, TenantsTakeTurns) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  for (const char* name : {"f1", "f2", "f3"}) Enter(*admission, name, {"pool", "flood"});
  Enter(*admission, "b1", {"pool", "behaved"});
  for (const char* name : {"running", "f1", "b1", "f2"}) Leave(name);
  EXPECT_THAT(events_, ElementsAre("running:OK", "f1:OK", "b1:OK", "f2:OK", "f3:OK"));
  LeaveAll();
}

TEST_F(AdmissionTest, AFullQueueMakesRoomForWhoHasLessInIt) {
  const auto admission = Make(1, 2);
  Enter(*admission, "running");
  Enter(*admission, "f1", {"pool", "flood"});
  Enter(*admission, "f2", {"pool", "flood"});
  Enter(*admission, "b1", {"pool", "behaved"});
  EXPECT_THAT(events_, ElementsAre("running:OK", "f2:RESOURCE_EXHAUSTED"));
  EXPECT_EQ(observed_.sheds[ShedReason::kPushedOut], 1);
  EXPECT_EQ(admission->queued(), 2u);
  LeaveAll();
}

TEST_F(AdmissionTest, WhoseTurnWouldComeTooLateIsRefusedAtOnceWithATimeToComeBack) {
  const auto admission = Make(1, 100);
  Pass(*admission, 200, absl::Milliseconds(100));
  Enter(*admission, "running");
  // Ten wait, of 100 ms each; the eleventh would be admitted in 1.1 s and answered in 1.2.
  for (int i = 0; i < 10; ++i) Enter(*admission, "waiting");
  Enter(*admission, "hopeless", 5, clock_.Now() + absl::Milliseconds(1150));
  EXPECT_THAT(events_, ElementsAre("running:OK", "hopeless:RESOURCE_EXHAUSTED"));
  EXPECT_EQ(observed_.sheds[ShedReason::kNoTime], 1);
  EXPECT_EQ(retry_after_, absl::Milliseconds(1100));
  // A twentieth is left for the way back, and LatencyWindow's quantile may be 19 % high.
  Enter(*admission, "hopeful", 5, clock_.Now() + absl::Milliseconds(1290));
  EXPECT_EQ(admission->queued(), 11u);
  // Its tenant has nobody waiting: its turn comes after one request.
  Enter(*admission, "other", {"pool", "other", 5, clock_.Now() + absl::Milliseconds(400)});
  EXPECT_EQ(admission->queued(), 12u);
  LeaveAll();
}

TEST_F(AdmissionTest, WhoWaitedTooLongIsToldBeforeTheDeadline) {
  const auto admission = Make(1, 100);
  Pass(*admission, 200, absl::Milliseconds(100));
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Milliseconds(400));
  timers_.AdvanceAndRun(absl::Milliseconds(350));  // the one that runs takes longer than usual
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:RESOURCE_EXHAUSTED"));
  EXPECT_EQ(observed_.sheds[ShedReason::kOutOfTime], 1);
  LeaveAll();
}

TEST_F(AdmissionTest, WhoseTimeIsUpIsNotAdmittedThoughItsTimerIsLate) {
  const auto admission = Make(1, 100);
  Enter(*admission, "running");
  Enter(*admission, "waiting", 5, clock_.Now() + absl::Milliseconds(400));
  clock_.Advance(absl::Milliseconds(400));
  Leave("running");
  EXPECT_THAT(events_, ElementsAre("running:OK", "waiting:DEADLINE_EXCEEDED"));
  EXPECT_EQ(admission->in_flight(), 0u);
  EXPECT_EQ(observed_.sheds[ShedReason::kDeadline], 1);
}

TEST_F(AdmissionTest, APoolThatIsOverloadedLeavesRoomForTheOthers) {
  const auto admission = Make(1000, 1000);
  // 100 in flight that take most of what their callers allow: the queue is at the experts.
  int entered = 0, left = 0;
  const auto enter = [&] {
    Enter(*admission, absl::StrCat(entered++),
          {"slow", "tenant", 5, clock_.Now() + absl::Milliseconds(500)});
  };
  for (int i = 0; i < 50; ++i) {  // what it takes at little load
    enter();
    clock_.Advance(absl::Milliseconds(40));
    Leave(absl::StrCat(left++), absl::OkStatus());
  }
  for (int i = 0; i < 100; ++i) enter();
  for (int i = 0; i < 400; ++i) {  // 100 in flight, one every 4 ms: 400 ms each
    timers_.AdvanceAndRun(absl::Milliseconds(4));
    const std::string first = tickets_.front().first;
    Leave(first, absl::OkStatus());
    enter();
  }
  EXPECT_LT(observed_.limits["slow"], 100u);
  EXPECT_GT(admission->queued(), 0u);
  Enter(*admission, "quick", {"quick", "tenant"});
  EXPECT_EQ(events_.back(), "quick:OK");
  LeaveAll();
}

TEST_F(AdmissionTest, TellsWhatItHoldsAfterEachChange) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  const Admission::WaiterId gone = Enter(*admission, "gone");
  Enter(*admission, "late", 5, clock_.Now() + absl::Seconds(1));
  EXPECT_EQ(observed_.in_flight, 1u);
  EXPECT_EQ(observed_.queued, 2u);
  admission->Cancel(gone);
  EXPECT_EQ(observed_.queued, 1u);
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_EQ(observed_.queued, 0u);
  Leave("running", absl::OkStatus());
  EXPECT_EQ(observed_.in_flight, 0u);
}

// How fast a flood of whom none is answered in time lowers the limit, where they end so, so long
// after they came.
class AdmissionFloodTest : public AdmissionTest {
 protected:
  // How many are let in then.
  uint32_t InFlightAfterAFlood(absl::Status end, absl::Duration after) {
    const auto admission = Make(400, 0);
    Enter(*admission, "held");  // a pool that never answered is forgotten with its last request
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 400; ++i) {
        Enter(*admission, "flood", 5, clock_.Now() + absl::Milliseconds(500));
      }
      clock_.Advance(after);
      while (tickets_.size() > 1) {
        clock_.Advance(absl::Microseconds(1));
        Leave("flood", end);
      }
      clock_.Advance(absl::Milliseconds(100));
    }
    for (int i = 0; i < 400; ++i) Enter(*admission, "flood", {"pool", "tenant"});
    const uint32_t in_flight = admission->in_flight();
    LeaveAll();
    return in_flight;
  }
};

TEST_F(AdmissionFloodTest, WhatIsLateBeforeAnybodyWasAnsweredCounts) {
  EXPECT_LE(InFlightAfterAFlood(absl::DeadlineExceededError("late"), absl::Milliseconds(500)), 20u);
}

TEST_F(AdmissionFloodTest, CallersThatGoAwayAtTheirDeadlinesCountAsLate) {
  EXPECT_LE(InFlightAfterAFlood(absl::CancelledError("reset"), absl::Milliseconds(499)), 20u);
}

TEST_F(AdmissionFloodTest, CallersThatGoAwayBeforeSayNothing) {
  EXPECT_EQ(InFlightAfterAFlood(absl::CancelledError("reset"), absl::Milliseconds(450)), 400u);
}

TEST_F(AdmissionTest, PoolsThatNeverAnsweredAreForgotten) {
  const auto admission = Make(1, 10);
  Enter(*admission, "known", {"known", "tenant"});
  Leave("known", absl::OkStatus());
  for (int i = 0; i < 100; ++i) {
    const std::string name = absl::StrCat("unknown-", i);
    Enter(*admission, name, {name, "tenant"});
    Leave(name, absl::NotFoundError("no such pool"));
  }
  EXPECT_EQ(admission->pools(), 1u);
}

TEST_F(AdmissionTest, ManyPoolsAtOnceShareWhatIsLeft) {
  const auto admission = Make(100'000, 0);
  for (int i = 0; i < 5000; ++i) Enter(*admission, "a", {absl::StrCat("pool-", i), "tenant"});
  EXPECT_EQ(admission->in_flight(), 5000u);
  EXPECT_LE(admission->pools(), Admission::kMaxPools + 1);
  LeaveAll();
  EXPECT_EQ(admission->pools(), 0u);
}

TEST_F(AdmissionTest, TellsHowLongWaited) {
  const auto admission = Make(1, 10);
  Enter(*admission, "running");
  Enter(*admission, "waiting");
  clock_.Advance(absl::Milliseconds(30));
  Leave("running");
  EXPECT_THAT(observed_.waited, ElementsAre(absl::ZeroDuration(), absl::Milliseconds(30)));
  LeaveAll();
}

// What an admitted request does first is not one thread's work, though one thread empties the
// queue.
TEST_F(AdmissionTest, TheQueueIsEmptiedByEveryThreadThatFreesAPlace) {
  const auto admission = Make(2, 10);
  Enter(*admission, "one");
  Enter(*admission, "two");
  Notification first_runs, second_ran;
  admission->Enter({"pool", "tenant"}, [&](absl::StatusOr<Admission::Ticket>, absl::Duration) {
    first_runs.Notify();
    EXPECT_TRUE(second_ran.WaitWithTimeout(absl::Seconds(30)));
  });
  admission->Enter({"pool", "tenant"},
                   [&](absl::StatusOr<Admission::Ticket>, absl::Duration) { second_ran.Notify(); });
  std::thread other([&] { Leave("one"); });
  EXPECT_TRUE(first_runs.WaitWithTimeout(absl::Seconds(30)));
  Leave("two");
  other.join();
  EXPECT_EQ(admission->in_flight(), 0u);
}

// Whatever comes in whatever order: everybody is told once, bounds hold, no place is left free
// while somebody could have it, and nobody goes in whose time is up.
TEST_F(AdmissionTest, KeepsItsPromisesWhateverComes) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    CounterRandom random(seed, 0);
    Events observed;
    config::v1::Admission config = Config(1 + random.Below(8), random.Below(12));
    config.set_adaptive(random.Below(2) == 0);
    auto admission = *Admission::Create(config, clock_, timers_, observed);
    struct Told {
      int times = 0;
      absl::Time deadline;
    };
    std::vector<Told> told;
    std::vector<Admission::WaiterId> ids;
    std::vector<Admission::Ticket> in;
    const std::vector<absl::Status> answers = {
        absl::OkStatus(), absl::DeadlineExceededError("late"), absl::UnavailableError("gone")};
    for (int step = 0; step < 2000; ++step) {
      const uint64_t what = random.Below(10);
      if (what < 5) {
        const size_t index = told.size();
        told.push_back({0, random.Below(3) == 0
                               ? absl::InfiniteFuture()
                               : clock_.Now() + absl::Milliseconds(random.Below(300))});
        const std::string pool = absl::StrCat("pool-", random.Below(2));
        const std::string tenant = absl::StrCat("tenant-", random.Below(3));
        ids.push_back(admission->Enter(
            {pool, tenant, static_cast<uint32_t>(random.Below(3)), told[index].deadline},
            [&, index](absl::StatusOr<Admission::Ticket> ticket, absl::Duration) {
              ++told[index].times;
              if (!ticket.ok()) return;
              ASSERT_LT(clock_.Now(), told[index].deadline);
              in.push_back(*std::move(ticket));
            }));
      } else if (what < 8 && !in.empty()) {
        std::optional<Admission::Ticket> leaving;
        std::vector<Admission::Ticket> stay;
        const size_t which = random.Below(in.size());
        for (size_t i = 0; i < in.size(); ++i) {
          if (i == which) {
            leaving.emplace(std::move(in[i]));
          } else {
            stay.push_back(std::move(in[i]));
          }
        }
        in.swap(stay);
        if (random.Below(4) != 0) leaving->Answered(answers[random.Below(answers.size())]);
        leaving.reset();
      } else if (what < 9) {
        timers_.AdvanceAndRun(absl::Milliseconds(random.Below(40)));
      } else if (!ids.empty()) {
        admission->Cancel(ids[random.Below(ids.size())]);
      }
      ASSERT_LE(admission->in_flight(), config.max_in_flight());
      ASSERT_LE(admission->queued(), config.max_queue());
      ASSERT_EQ(admission->in_flight(), in.size());
      if (!config.adaptive()) {
        ASSERT_TRUE(admission->queued() == 0 || admission->in_flight() == config.max_in_flight());
      }
      size_t untold = 0;
      for (const Told& one : told) {
        ASSERT_LE(one.times, 1);
        untold += one.times == 0;
      }
      ASSERT_EQ(untold, admission->queued());
    }
    while (!in.empty()) std::exchange(in, {}).clear();
    ASSERT_EQ(admission->queued(), 0u);
    ASSERT_EQ(admission->in_flight(), 0u);
    ASSERT_EQ(timers_.scheduled(), 0u);
  }
}

TEST_F(AdmissionTest, MoreRoomAdmitsWhoWaitsAndLessTurnsNobodyOut) {
  const auto admission = Make(1, 2);
  Enter(*admission, "a");
  Enter(*admission, "b");
  Enter(*admission, "c");
  config::v1::Admission config;
  config.set_max_in_flight(2);
  config.set_max_queue(1);
  admission->Change(config);
  EXPECT_THAT(events_, ElementsAre("a:OK", "b:OK"));
  config.set_max_in_flight(1);
  admission->Change(config);
  Enter(*admission, "d");
  EXPECT_EQ(admission->in_flight(), 2u);
  EXPECT_EQ(admission->queued(), 1u);
  EXPECT_EQ(events_.back(), "d:RESOURCE_EXHAUSTED");
  Leave("a");
  EXPECT_EQ(admission->queued(), 1u);
  Leave("b");
  EXPECT_EQ(events_.back(), "c:OK");
  LeaveAll();
}

}  // namespace
}  // namespace penstock::gateway
