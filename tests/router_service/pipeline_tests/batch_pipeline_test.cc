#include <algorithm>
#include <thread>

#include "router_service/dispatch/batch/batch_window.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

constexpr char kExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: good, quality: 0.9, slots: 4, replicas: [{address: "small:1"}]}
  - {name: plain, quality: 0.8, slots: 4, replicas: [{address: "small:2"}]}
  selection: {batch_assignment: {utilisation: 0.5, window_ms: 5, max_requests: 4}}
)";

// Keeps what it is given until the test runs it.
class HeldBatchWorker final : public BatchWorker {
 public:
  explicit HeldBatchWorker(std::vector<absl::AnyInvocable<void()>>& held) : held_(held) {}
  void Run(absl::AnyInvocable<void()> work) override { held_.push_back(std::move(work)); }

 private:
  std::vector<absl::AnyInvocable<void()>>& held_;
};

class BatchPipeline : public RouterFixture {
 protected:
  // Four requests in flight of eight slots, all at the better expert.
  void BuildBusy() {
    Build(kExperts);
    for (int i = 0; i < 4; ++i) calls_.push_back(Send(MakeRequest()));
    ASSERT_EQ(Good(), 4u);
    ASSERT_EQ(Plain(), 0u);
  }
  void TearDown() override {
    for (const char* address : {"small:1", "small:2"}) {
      for (const auto& call : Target(address).calls()) call->Reply(MakeReply(1, 0.6f, 0.1));
    }
    RouterFixture::TearDown();
  }
  size_t Good() { return Target("small:1").calls().size(); }
  size_t Plain() { return Target("small:2").calls().size(); }

  std::vector<std::shared_ptr<FakeIncomingCall>> calls_;
};

TEST_F(BatchPipeline, WhatComesWithinAWindowIsAssignedToFreeSlotsTogether) {
  BuildBusy();
  for (int i = 0; i < 3; ++i) calls_.push_back(Send(MakeRequest()));
  EXPECT_EQ(Good() + Plain(), 4u);
  timers_.AdvanceAndRun(absl::Milliseconds(5));
  EXPECT_EQ(Good(), 4u);
  EXPECT_EQ(Plain(), 3u);
  Target("small:2").calls()[0]->Reply(MakeReply(1, 0.6f, 0.1));
  EXPECT_THAT(calls_[4]->WaitForReply().status, IsOk());
  const v1::Decision decision = Last();
  EXPECT_EQ(decision.assigned_together(), 3u);
  ASSERT_EQ(decision.runs_size(), 1);
  EXPECT_EQ(decision.runs(0).expert(), "plain");
  EXPECT_THAT(decision.reason(), ::testing::HasSubstr("assigned together with 2 others"));
}

TEST_F(BatchPipeline, AFullWindowClosesAtOnce) {
  BuildBusy();
  for (int i = 0; i < 3; ++i) calls_.push_back(Send(MakeRequest()));
  EXPECT_EQ(Good() + Plain(), 4u);
  calls_.push_back(Send(MakeRequest()));
  EXPECT_EQ(Good(), 4u);
  EXPECT_EQ(Plain(), 4u);
  // The first window's timer does not end the second one.
  clock_.Advance(absl::Milliseconds(4));
  for (int i = 0; i < 2; ++i) calls_.push_back(Send(MakeRequest()));
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  EXPECT_EQ(Good() + Plain(), 8u);
  timers_.AdvanceAndRun(absl::Milliseconds(4));
  // No slot is free: the queues share them.
  EXPECT_EQ(Good(), 5u);
  EXPECT_EQ(Plain(), 5u);
}

TEST_F(BatchPipeline, AnIdlePoolDecidesAtOnce) {
  Build(kExperts);
  calls_.push_back(Send(MakeRequest()));
  EXPECT_EQ(Good(), 1u);
  Target("small:1").calls()[0]->Reply(MakeReply(1, 0.6f, 0.1));
  EXPECT_EQ(Last().assigned_together(), 0u);
}

TEST_F(BatchPipeline, WhoWaitsAloneDecidesAlone) {
  BuildBusy();
  calls_.push_back(Send(MakeRequest()));
  timers_.AdvanceAndRun(absl::Milliseconds(5));
  EXPECT_EQ(Good(), 5u);
  Target("small:1").calls()[4]->Reply(MakeReply(1, 0.6f, 0.1));
  EXPECT_EQ(Last().assigned_together(), 0u);
}

TEST_F(BatchPipeline, ADeadlineThatTheWaitWouldEndangerDoesNotWait) {
  BuildBusy();
  // Both experts are in time now, and the slower one would not be in 5 ms.
  const auto explained =
      pipeline_->Explain(EncodeInferRequest(MakeRequest()), absl::InfiniteFuture(), {}, {});
  ASSERT_THAT(explained.status(), IsOk());
  const double slowest =
      std::max(explained->candidates(0).latency_ms(), explained->candidates(1).latency_ms());
  calls_.push_back(Send(MakeRequest(), absl::Milliseconds(slowest + 4)));
  EXPECT_EQ(Good() + Plain(), 5u) << slowest;
  calls_.push_back(Send(MakeRequest(), absl::Seconds(1)));
  EXPECT_EQ(Good() + Plain(), 5u);
  timers_.AdvanceAndRun(absl::Milliseconds(5));
  EXPECT_EQ(Good() + Plain(), 6u);
}

TEST_F(BatchPipeline, TheCallersOwnChoiceDoesNotWait) {
  BuildBusy();
  const InferRequest request = MakeRequest(1, {{"penstock_experts", std::string("good")}});
  calls_.push_back(Send(request, absl::InfiniteDuration(), ForcedRights()));
  EXPECT_EQ(Good(), 5u);
}

TEST_F(BatchPipeline, AClientThatLeftIsNotAskedFor) {
  BuildBusy();
  for (int i = 0; i < 2; ++i) calls_.push_back(Send(MakeRequest()));
  calls_[4]->Cancel();
  timers_.AdvanceAndRun(absl::Milliseconds(5));
  EXPECT_EQ(calls_[4]->WaitForReply().status.code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(calls_[5]->finished());
}

TEST_F(BatchPipeline, TheTimersThreadOnlyHandsOver) {
  std::vector<absl::AnyInvocable<void()>> held;
  make_batch_worker_ = [&] { return std::make_unique<HeldBatchWorker>(held); };
  BuildBusy();
  for (int i = 0; i < 3; ++i) calls_.push_back(Send(MakeRequest()));
  timers_.AdvanceAndRun(absl::Milliseconds(5));
  EXPECT_EQ(Good() + Plain(), 4u);
  ASSERT_EQ(held.size(), 1u);
  held[0]();
  EXPECT_EQ(Good(), 4u);
  EXPECT_EQ(Plain(), 3u);
}

TEST_F(BatchPipeline, WhoFindsTheWindowFullWhileTheWorkerIsBusyDecidesAlone) {
  std::vector<absl::AnyInvocable<void()>> held;
  make_batch_worker_ = [&] { return std::make_unique<HeldBatchWorker>(held); };
  BuildBusy();
  for (int i = 0; i < 4; ++i) calls_.push_back(Send(MakeRequest()));
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(Good() + Plain(), 4u);
  // Full: nobody else waits, and the worker has no more than one piece of work.
  calls_.push_back(Send(MakeRequest()));
  EXPECT_EQ(Good() + Plain(), 5u);
  ASSERT_EQ(held.size(), 1u);
  held[0]();
  EXPECT_EQ(Good() + Plain(), 9u);
  // The worker is free: the next window is a piece of work again.
  for (int i = 0; i < 4; ++i) calls_.push_back(Send(MakeRequest()));
  ASSERT_EQ(held.size(), 2u);
  held[1]();
  EXPECT_EQ(Good() + Plain(), 13u);
}

TEST_F(BatchPipeline, AThreadOfItsOwnResumesEveryRequestOnceBeforeThePipelineIsGone) {
  make_batch_worker_ = nullptr;
  BuildBusy();
  // A full window and one that is still open.
  for (int i = 0; i < 6; ++i) calls_.push_back(Send(MakeRequest()));
  pipeline_.reset();
  EXPECT_EQ(Good() + Plain(), 10u);
}

TEST(ThreadBatchWorkerTest, WhatWasGivenHasRunOnceTheWorkerIsGone) {
  std::thread::id ran_on;
  int runs = 0;
  {
    ThreadBatchWorker worker;
    worker.Run([&] {
      ran_on = std::this_thread::get_id();
      ++runs;
    });
  }
  EXPECT_EQ(runs, 1);
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

}  // namespace
}  // namespace penstock::router
