#include "common/time/timers.h"

#include <string>
#include <vector>

#include "common/notification.h"
#include "common/time/clock.h"
#include "gmock/gmock.h"
#include "tests/support/fake_timers.h"

namespace penstock {
namespace {

using testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(30);

TEST(RealClockTest, NeverGoesBack) {
  const RealClock clock;
  absl::Time last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(ThreadTimersTest, RunsACallbackNotBeforeItsTime) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Notification ran;
  absl::Time at;
  const absl::Time due = clock.Now() + absl::Milliseconds(20);
  timers.Schedule(due, [&] {
    at = clock.Now();
    ran.Notify();
  });
  ASSERT_TRUE(ran.WaitWithTimeout(kPatience));
  EXPECT_GE(at, due);
}

TEST(ThreadTimersTest, RunsInOrderOfTime) {
  const RealClock clock;
  std::vector<int> order;
  Notification ran;
  {
    ThreadTimers timers(clock);
    const absl::Time due = clock.Now() + absl::Milliseconds(20);
    timers.Schedule(due + absl::Milliseconds(1), [&] {
      order.push_back(2);
      ran.Notify();
    });
    timers.Schedule(due, [&] { order.push_back(1); });
    ASSERT_TRUE(ran.WaitWithTimeout(kPatience));
  }
  EXPECT_THAT(order, ElementsAre(1, 2));
}

TEST(ThreadTimersTest, AnEarlierTimerWakesTheThread) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Notification ran;
  timers.Schedule(clock.Now() + absl::Hours(1), [] {});
  timers.Schedule(clock.Now(), [&] { ran.Notify(); });
  EXPECT_TRUE(ran.WaitWithTimeout(kPatience));
}

TEST(ThreadTimersTest, ACancelledCallbackIsDestroyedAndDoesNotRun) {
  const RealClock clock;
  const auto owned = std::make_shared<int>(1);
  ThreadTimers timers(clock);
  const Timers::Id id = timers.Schedule(clock.Now() + absl::Hours(1), [owned] {});
  EXPECT_TRUE(timers.Cancel(id));
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_FALSE(timers.Cancel(id));
}

TEST(ThreadTimersTest, CancelTellsThatACallbackRan) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Notification ran;
  const Timers::Id id = timers.Schedule(clock.Now(), [&] { ran.Notify(); });
  ASSERT_TRUE(ran.WaitWithTimeout(kPatience));
  EXPECT_FALSE(timers.Cancel(id));
}

TEST(ThreadTimersTest, ACallbackMaySchedule) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Notification ran;
  timers.Schedule(clock.Now(), [&] { timers.Schedule(clock.Now(), [&] { ran.Notify(); }); });
  EXPECT_TRUE(ran.WaitWithTimeout(kPatience));
}

TEST(ThreadTimersTest, DestructionDropsWhatIsDueLater) {
  const RealClock clock;
  bool ran = false;
  {
    ThreadTimers(clock).Schedule(clock.Now() + absl::Hours(1), [&] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

TEST(ThreadTimersTest, AcceptsTheInfiniteFuture) {
  const RealClock clock;
  ThreadTimers timers(clock);
  Notification ran;
  const Timers::Id id = timers.Schedule(absl::InfiniteFuture(), [] {});
  timers.Schedule(clock.Now() + absl::Milliseconds(1), [&] { ran.Notify(); });
  EXPECT_TRUE(ran.WaitWithTimeout(kPatience));
  EXPECT_TRUE(timers.Cancel(id));
}

TEST(FakeTimersTest, RunsOnlyWhatIsDue) {
  FakeClock clock;
  FakeTimers timers(clock);
  std::vector<std::string> ran;
  timers.Schedule(clock.Now() + absl::Seconds(2), [&] { ran.push_back("late"); });
  timers.Schedule(clock.Now() + absl::Seconds(1), [&] { ran.push_back("early"); });
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(timers.RunDue(), 1);
  EXPECT_THAT(ran, ElementsAre("early"));
}

TEST(FakeTimersTest, AdvanceAndRunShowsEachCallbackItsOwnTime) {
  FakeClock clock;
  FakeTimers timers(clock);
  const absl::Time start = clock.Now();
  std::vector<absl::Duration> seen;
  timers.Schedule(start + absl::Seconds(1), [&] {
    seen.push_back(clock.Now() - start);
    timers.Schedule(start + absl::Seconds(2), [&] { seen.push_back(clock.Now() - start); });
  });
  EXPECT_EQ(timers.AdvanceAndRun(absl::Seconds(5)), 2);
  EXPECT_THAT(seen, ElementsAre(absl::Seconds(1), absl::Seconds(2)));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(5));
}

TEST(NotificationTest, TimesOut) {
  Notification never;
  EXPECT_FALSE(never.WaitWithTimeout(absl::Milliseconds(1)));
  EXPECT_FALSE(never.HasBeenNotified());
}

}  // namespace
}  // namespace penstock
