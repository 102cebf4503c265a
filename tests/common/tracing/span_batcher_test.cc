#include "common/tracing/span_batcher.h"

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/tracing/kept_spans.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SpanBatcherTest : public testing::Test {
 protected:
  void SetUp() override { Build({.max_queue = 5, .max_batch = 3, .max_delay = absl::Seconds(1)}); }
  void Build(SpanBatcher::Options options) {
    batcher_ = std::make_shared<SpanBatcher>(options, clock_, timers_, collector_, collector_);
  }
  void Add(int spans) {
    for (int i = 0; i < spans; ++i) batcher_->Add(std::make_unique<SpanRecord>());
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  KeptSpans collector_;
  std::shared_ptr<SpanBatcher> batcher_;
};

TEST_F(SpanBatcherTest, SendsNothingOnTheCallersThread) {
  Add(3);
  EXPECT_THAT(collector_.sizes(), IsEmpty());
  timers_.RunDue();
  EXPECT_THAT(collector_.sizes(), ElementsAre(3));
}

TEST_F(SpanBatcherTest, WaitsForOthersAsLongAsItMay) {
  Add(1);
  timers_.AdvanceAndRun(absl::Milliseconds(600));
  Add(1);
  timers_.AdvanceAndRun(absl::Milliseconds(399));
  EXPECT_THAT(collector_.sizes(), IsEmpty());
  timers_.AdvanceAndRun(absl::Milliseconds(1));
  EXPECT_THAT(collector_.sizes(), ElementsAre(2));
  EXPECT_EQ(collector_.exported(), 2u);
}

TEST_F(SpanBatcherTest, DropsAndCountsWhatTheQueueDoesNotHold) {
  Add(8);
  EXPECT_EQ(collector_.dropped(), 3u);
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_THAT(collector_.sizes(), ElementsAre(3, 2));
  EXPECT_EQ(collector_.exported(), 5u);
}

TEST_F(SpanBatcherTest, HasOneMessageUnderWayAtATime) {
  collector_.Hold();
  Add(3);
  timers_.RunDue();
  Add(3);
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_THAT(collector_.sizes(), ElementsAre(3));
  collector_.Release();
  timers_.RunDue();
  EXPECT_THAT(collector_.sizes(), ElementsAre(3, 3));
  EXPECT_EQ(collector_.exported(), 6u);
}

TEST_F(SpanBatcherTest, LosesAndCountsWhatFails) {
  collector_.AnswerWith(absl::UnavailableError("away"));
  Add(3);
  timers_.AdvanceAndRun(absl::Seconds(5));
  EXPECT_EQ(collector_.failed(), 3u);
  EXPECT_EQ(collector_.exported(), 0u);
  // Not asked again for the same.
  EXPECT_THAT(collector_.sizes(), ElementsAre(3));
}

TEST_F(SpanBatcherTest, CountsWhatTheCollectorRejects) {
  collector_.AnswerWith(absl::OkStatus(), 2);
  Add(3);
  timers_.RunDue();
  EXPECT_EQ(collector_.failed(), 2u);
  EXPECT_EQ(collector_.exported(), 1u);
}

TEST_F(SpanBatcherTest, BelievesNoMoreRejectionsThanItSent) {
  collector_.AnswerWith(absl::OkStatus(), 1000);
  Add(3);
  timers_.RunDue();
  EXPECT_EQ(collector_.failed(), 3u);
  EXPECT_EQ(collector_.exported(), 0u);
}

TEST_F(SpanBatcherTest, CountsAsDroppedWhatTheEndFindsWaiting) {
  collector_.Hold();
  Add(3);
  timers_.RunDue();
  Add(2);
  batcher_->Finish(absl::ZeroDuration());
  EXPECT_EQ(collector_.dropped(), 2u);
  // An answer that comes later, and what ends later, changes nothing.
  collector_.Release();
  Add(3);
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(collector_.exported() + collector_.failed(), 0u);
  EXPECT_EQ(collector_.dropped(), 2u);
  EXPECT_EQ(timers_.scheduled(), 0u);
}

// Many threads end spans while they are sent and while it ends: for ThreadSanitizer, and that none
// is counted twice or forgotten.
TEST(SpanBatcherThreadsTest, EverySpanIsCountedOnce) {
  constexpr int kThreads = 4;
  constexpr uint64_t kEach = 2000;
  const RealClock clock;
  KeptSpans collector;
  auto timers = std::make_unique<ThreadTimers>(clock);
  const auto batcher = std::make_shared<SpanBatcher>(
      SpanBatcher::Options{.max_queue = 256, .max_batch = 64, .max_delay = absl::Milliseconds(1)},
      clock, *timers, collector, collector);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (uint64_t n = 0; n < kEach; ++n) batcher->Add(std::make_unique<SpanRecord>());
    });
  }
  for (std::thread& thread : threads) thread.join();
  batcher->Finish(absl::Seconds(30));
  timers = nullptr;
  EXPECT_EQ(collector.exported() + collector.dropped(), kThreads * kEach);
  EXPECT_EQ(collector.exported(), collector.spans().size());
}

}  // namespace
}  // namespace penstock
