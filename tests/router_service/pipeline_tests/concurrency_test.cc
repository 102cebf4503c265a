#include <thread>

#include "common/time/clock.h"
#include "common/time/timers.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

// A replica that answers from a thread of its own, in the order that calls came: well, fails one in three,
// keeps every seventh to itself.
class ThreadedReplica {
 public:
  explicit ThreadedReplica(FakeInferTarget& target) : target_(target), thread_([this] { Run(); }) {}
  ~ThreadedReplica() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    thread_.join();
  }

 private:
  void Run() {
    for (size_t next = 0;;) {
      {
        MutexLock lock(mutex_);
        if (stopping_) return;
      }
      const auto calls = target_.calls();
      if (next == calls.size()) {
        std::this_thread::yield();
        continue;
      }
      for (; next < calls.size(); ++next) {
        if (next % 7 == 6) continue;
        if (next % 3 == 2) {
          calls[next]->Reply(absl::UnavailableError("draining"));
        } else {
          calls[next]->Reply(MakeReply(1, next % 2 == 0 ? 0.6f : 0.99f, 0.1));
        }
      }
    }
  }

  FakeInferTarget& target_;
  Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class Concurrency : public RouterFixture {};

// Threads that send and threads that answer, a timer thread, clients that leave: every request is
// finished once (FakeIncomingCall fails on a second time), and nothing stays booked.
TEST_F(Concurrency, EveryRequestIsFinishedOnce) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Build(absl::StrCat(R"(
pools:
- name: pool
  experts:
  - {name: small, replicas: [{address: "small:1"}, {address: "small:2"}]}
  - {name: big, replicas: [{address: "big:1"}, {address: "big:2"}]}
  budgets: [{resource: JOULES, amount: 100, per: REQUEST}]
  cascade: {first: small, file: )",
                     CascadeFile(), "}\n"));
  BudgetPacer pacer(clock, ledger_, {});
  ASSERT_THAT(pacer.SetBudget("pool", config_.pools(0).budgets(0)), IsOk());
  RequestPipeline pipeline(*catalogue_, {clock, timers, pacer, *log_, observer_, 1});

  constexpr int kSenders = 4;
  constexpr int kEach = 100;
  std::vector<std::vector<std::shared_ptr<FakeIncomingCall>>> calls(kSenders);
  {
    ThreadedReplica one(Target("small:1")), two(Target("small:2"));
    ThreadedReplica three(Target("big:1")), four(Target("big:2"));
    std::vector<std::thread> senders;
    for (int s = 0; s < kSenders; ++s) {
      senders.emplace_back([&, s] {
        for (int i = 0; i < kEach; ++i) {
          auto call = std::make_shared<FakeIncomingCall>(EncodeInferRequest(MakeRequest()),
                                                         clock.Now() + absl::Milliseconds(300));
          calls[s].push_back(call);
          pipeline.ModelInfer(call);
          if (i % 5 == 4) call->Cancel();
        }
      });
    }
    for (std::thread& sender : senders) sender.join();
    for (const auto& of_sender : calls) {
      for (const auto& call : of_sender) call->WaitForReply(absl::Seconds(60));
    }
  }
  const PoolStatistics::Totals totals = catalogue_->Find("pool")->record->statistics.totals();
  EXPECT_EQ(totals.in_flight, 0u);
  EXPECT_EQ(totals.successes + totals.failures, static_cast<uint64_t>(kSenders * kEach));
  EXPECT_GT(totals.successes, 0u);
}

}  // namespace
}  // namespace penstock::router
