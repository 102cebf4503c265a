#include "router_service/usage/usage_teller.h"

#include <thread>

#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UsageTellerTest : public testing::Test {
 protected:
  void Begin(bool with_ledger = true) {
    UsageTeller::Events events;
    events.not_told = [this](const absl::Status& why) { not_told_.push_back(why); };
    events.dropped_untold = [this](size_t pairs) { dropped_ += pairs; };
    events.counted_as_others = [this](uint64_t requests) { others_.push_back(requests); };
    teller_ = std::make_unique<UsageTeller>(
        UsageTeller::Deps{counts_, with_ledger ? &ledger_ : nullptr, clock_, timers_, "me"},
        std::move(events));
    teller_->Start();
  }
  void Count(const std::string& tenant) { counts_.Count("chat", tenant, {1, 0, 0}, true); }
  // Requests in the ledger as `store` has it.
  static int64_t Told(Store& store, int64_t hour, const FakeClock& clock) {
    int64_t requests = 0;
    UsageLedger(store).Read(hour, clock.Now() + absl::Seconds(1), [&](auto totals) {
      EXPECT_THAT(totals, IsOk());
      for (const auto& [owner, of_owner] : *totals) {
        for (const auto& [key, of_key] : of_owner) requests += of_key.requests;
      }
    });
    return requests;
  }
  int64_t Told(int64_t hour) { return Told(memory_, hour, clock_); }
  int64_t hour() const { return HourOf(clock_.Now()); }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(100)};
  FakeTimers timers_{clock_};
  MemoryStore memory_{clock_}, empty_{clock_};
  SwitchedStore store_{memory_};
  UsageCounts counts_{clock_, {.pairs_an_hour = 3, .hours = 48}};
  UsageLedger ledger_{store_};
  std::vector<absl::Status> not_told_;
  size_t dropped_ = 0;
  std::vector<uint64_t> others_;
  std::unique_ptr<UsageTeller> teller_;
};

TEST_F(UsageTellerTest, TellsWhatChangedEveryOtherSecond) {
  Begin();
  Count("a");
  EXPECT_EQ(Told(hour()), 0);
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Told(hour()), 1);
  Count("a");
  Count("b");
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Told(hour()), 3);
  EXPECT_EQ(timers_.scheduled(), 1u);
}

TEST_F(UsageTellerTest, AStoreThatForgotIsToldAllOfItAgain) {
  Begin();
  Count("a");
  clock_.Advance(absl::Hours(1));
  Count("b");
  timers_.RunDue();
  ASSERT_EQ(Told(100) + Told(101), 2);
  store_.To(empty_);
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Told(empty_, 100, clock_), 1);
  EXPECT_EQ(Told(empty_, 101, clock_), 1);
}

TEST_F(UsageTellerTest, WhatAStoreThatIsAwayMissedIsToldWhenItIsBack) {
  Begin();
  Count("a");
  timers_.AdvanceAndRun(absl::Seconds(2));
  store_.Fail(absl::UnavailableError("away"));
  Count("a");
  clock_.Advance(absl::Hours(1));
  Count("a");
  timers_.AdvanceAndRun(absl::Minutes(1));
  EXPECT_THAT(not_told_, ElementsAre(StatusIs(absl::StatusCode::kUnavailable)));
  store_.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Told(100), 2);
  EXPECT_EQ(Told(101), 1);
  // Said again where it fails again.
  store_.Fail(absl::UnavailableError("away"));
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_THAT(not_told_, SizeIs(2));
}

TEST_F(UsageTellerTest, AWriteThatFailsIsRepeated) {
  MemoryStore full(clock_, /*max_keys=*/1);
  store_.To(full);
  Begin();
  Count("a");
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_THAT(not_told_, ElementsAre(StatusIs(absl::StatusCode::kResourceExhausted)));
  store_.To(memory_);
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(Told(hour()), 1);
}

TEST_F(UsageTellerTest, CountsThatWereDroppedUntoldAreSaid) {
  Begin();
  store_.Fail(absl::UnavailableError("away"));
  Count("a");
  Count("b");
  clock_.Advance(absl::Hours(49));
  timers_.RunDue();
  EXPECT_EQ(dropped_, 2u);
  EXPECT_THAT(counts_.Hours(), IsEmpty());
}

TEST_F(UsageTellerTest, WithoutALedgerCountsAreKeptWithinTheirLimits) {
  Begin(/*with_ledger=*/false);
  Count("a");
  clock_.Advance(absl::Hours(49));
  timers_.RunDue();
  EXPECT_THAT(counts_.Hours(), IsEmpty());
  EXPECT_EQ(dropped_, 0u);
}

TEST_F(UsageTellerTest, TenantsBeyondTheLimitAreSaid) {
  Begin();
  for (const char* tenant : {"a", "b", "c", "d", "e"}) Count(tenant);
  timers_.AdvanceAndRun(absl::Seconds(4));
  EXPECT_THAT(others_, ElementsAre(2));
  EXPECT_EQ(Told(hour()), 5);
}

TEST_F(UsageTellerTest, FinishTellsWhatIsLeft) {
  Begin();
  Count("a");
  teller_->Finish(absl::Seconds(10));
  EXPECT_EQ(Told(hour()), 1);
  EXPECT_EQ(timers_.scheduled(), 1u);
}

TEST_F(UsageTellerTest, FinishWaitsForTheRoundUnderWayAndTellsTheRest) {
  Begin();
  Count("a");
  store_.Hold();
  timers_.AdvanceAndRun(absl::Seconds(2));
  ASSERT_EQ(store_.held(), 1u);
  Count("b");
  std::thread finish([&] { teller_->Finish(absl::Seconds(60)); });
  store_.Release();
  finish.join();
  EXPECT_EQ(Told(hour()), 2);
}

TEST_F(UsageTellerTest, RepliesThatComeTooLateDoNothing) {
  Begin();
  Count("a");
  store_.Hold();
  timers_.AdvanceAndRun(absl::Seconds(2));
  teller_ = nullptr;
  EXPECT_EQ(timers_.scheduled(), 0u);
  store_.Release();
  EXPECT_EQ(Told(hour()), 0);
}

}  // namespace
}  // namespace penstock::router
