#include "router_service/settings/shared_settings.h"

#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using config::v1::Budget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Budget Requests(double amount, const std::string& tenant = "") {
  Budget budget;
  budget.set_resource(Budget::REQUESTS);
  budget.set_per(Budget::HOUR);
  budget.set_amount(amount);
  budget.set_tenant(tenant);
  return budget;
}

class SharedSettingsTest : public testing::Test {
 protected:
  // A router that shares the store.
  struct OneRouter {
    OneRouter(FakeClock& clock, FakeTimers& timers, Store& store, uint32_t instance)
        : clock(clock),
          switched(store),
          pacer(clock, windows, {}),
          settings(pacer, clock, instance) {
      SharedSettings::Events events;
      events.adopted = [this](const v1::BudgetSetting& setting) {
        adopted.push_back(setting);
        if (on_adopted) on_adopted();
      };
      events.refused = [this](const absl::Status& why) { refused.push_back(why); };
      shared = std::make_unique<SharedSettings>(
          SharedSettings::Deps{settings, switched, clock, timers}, std::move(events));
    }
    absl::Status Start() { return shared->Start(); }
    // What the store said to it.
    absl::Status Set(double amount, const std::string& tenant = "") {
      const auto setting = settings.Set("chat", Requests(amount, tenant));
      if (!setting.ok()) return setting.status();
      absl::Status stored = absl::UnknownError("did not end");
      shared->Share(*setting, clock.Now() + absl::Seconds(2),
                    [&](absl::Status status) { stored = std::move(status); });
      return stored;
    }
    double amount(const std::string& tenant = "") const {
      const auto list = pacer.List("chat", tenant);
      return list.empty() ? 0 : list[0].budget().amount();
    }

    FakeClock& clock;
    SwitchedStore switched;
    MemoryWindowLedger windows;
    BudgetPacer pacer;
    BudgetSettings settings;
    std::vector<v1::BudgetSetting> adopted;
    std::vector<absl::Status> refused;
    std::function<void()> on_adopted;
    std::unique_ptr<SharedSettings> shared;
  };
  std::unique_ptr<OneRouter> Begin(uint32_t instance) {
    auto router = std::make_unique<OneRouter>(clock_, timers_, store_, instance);
    EXPECT_THAT(router->Start(), IsOk());
    return router;
  }

  // Into the store, past all routers.
  void Write(const std::string& field, int64_t version, const std::optional<std::string>& value) {
    const absl::Time deadline = clock_.Now() + absl::Seconds(1);
    const auto done = [](const absl::Status& status) { ASSERT_THAT(status, IsOk()); };
    const StoreField latest{field, version};
    store_.RaiseTotals("budget_settings", 0, {&latest, 1}, absl::InfiniteDuration(), deadline,
                       done);
    if (!value.has_value()) return;
    store_.Put(absl::StrCat("budget_setting/", field, "/", version), *value,
               absl::InfiniteDuration(), deadline, done);
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  MemoryStore store_{clock_};
};

TEST_F(SharedSettingsTest, WhatIsSetAtOneIsSetAtAll) {
  const auto one = Begin(1), two = Begin(2);
  EXPECT_THAT(one->Set(9), IsOk());
  EXPECT_EQ(two->amount(), 9);
  EXPECT_THAT(two->adopted, SizeIs(1));
  EXPECT_THAT(two->Set(0), IsOk());
  EXPECT_EQ(one->amount(), 0);
}

TEST_F(SharedSettingsTest, ARouterThatStartsReadsWhatIsThere) {
  const auto one = Begin(1);
  ASSERT_THAT(one->Set(9), IsOk());
  ASSERT_THAT(one->Set(3, "acme"), IsOk());
  const auto two = Begin(2);
  EXPECT_EQ(two->amount(), 9);
  EXPECT_EQ(two->amount("acme"), 3);
}

TEST_F(SharedSettingsTest, ManySettingsAreReadAndWrittenInOneRound) {
  const auto one = Begin(1);
  one->switched.Fail(absl::UnavailableError("away"));
  for (int i = 0; i < 300; ++i) {
    EXPECT_THAT(one->Set(i + 1, std::to_string(i)), StatusIs(StatusCode::kUnavailable));
  }
  one->switched.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(10));
  const auto two = Begin(2);
  EXPECT_THAT(two->adopted, SizeIs(300));
  EXPECT_EQ(two->amount("299"), 300);
}

TEST_F(SharedSettingsTest, AnAnnouncementThatIsMissedIsMadeUpForInTenSeconds) {
  const auto one = Begin(1), two = Begin(2);
  two->switched.Fail(absl::UnavailableError("away"));
  ASSERT_THAT(one->Set(9), IsOk());
  EXPECT_EQ(two->amount(), 0);
  two->switched.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(two->amount(), 9);
}

TEST_F(SharedSettingsTest, WhatTheStoreDidNotTakeIsWrittenLater) {
  const auto one = Begin(1), two = Begin(2);
  one->switched.Fail(absl::UnavailableError("away"));
  EXPECT_THAT(one->Set(9), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(one->amount(), 9);
  EXPECT_EQ(two->amount(), 0);
  one->switched.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(two->amount(), 9);
}

TEST_F(SharedSettingsTest, AStoreThatForgotIsToldAgain) {
  const auto one = Begin(1);
  ASSERT_THAT(one->Set(9), IsOk());
  MemoryStore empty(clock_);
  one->switched.To(empty);
  timers_.AdvanceAndRun(absl::Seconds(10));
  OneRouter two(clock_, timers_, empty, 2);
  ASSERT_THAT(two.Start(), IsOk());
  EXPECT_EQ(two.amount(), 9);
}

TEST_F(SharedSettingsTest, OfTwoSettingsTheLaterCountsEverywhere) {
  const auto one = Begin(1), two = Begin(2);
  one->switched.Fail(absl::UnavailableError("away"));
  two->switched.Fail(absl::UnavailableError("away"));
  EXPECT_FALSE(one->Set(1).ok());
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(two->Set(2).ok());
  one->switched.Fail(absl::OkStatus());
  two->switched.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(20));
  EXPECT_EQ(one->amount(), 2);
  EXPECT_EQ(two->amount(), 2);
}

TEST_F(SharedSettingsTest, ReplacedVersionsDoNotStayInTheStore) {
  MemoryStore small(clock_, /*max_keys=*/4);
  OneRouter one(clock_, timers_, small, 1), two(clock_, timers_, small, 2);
  ASSERT_THAT(one.Start(), IsOk());
  ASSERT_THAT(two.Start(), IsOk());
  for (int i = 1; i <= 50; ++i) {
    EXPECT_THAT((i % 2 == 0 ? one : two).Set(i), IsOk()) << i;
  }
  EXPECT_EQ(one.amount(), 50);
  EXPECT_EQ(two.amount(), 50);
}

TEST_F(SharedSettingsTest, WhatIsNoSettingIsSaidOnceAndLeftOut) {
  const absl::Time deadline = clock_.Now() + absl::Hours(1);
  const std::vector<StoreField> index = {{"1/2/4:chat", 7}, {"1/2/4:chatacme", 8}};
  store_.RaiseTotals("budget_settings", 0, index, absl::InfiniteDuration(), deadline,
                     [](const absl::Status& status) { ASSERT_THAT(status, IsOk()); });
  store_.Put("budget_setting/1/2/4:chat/7", "nonsense", absl::InfiniteDuration(), deadline,
             [](const absl::Status& status) { ASSERT_THAT(status, IsOk()); });
  v1::BudgetSetting of_another;
  of_another.set_pool("chat");
  *of_another.mutable_budget() = Requests(5, "zeta");
  of_another.set_version(8);
  store_.Put("budget_setting/1/2/4:chatacme/8", of_another.SerializeAsString(),
             absl::InfiniteDuration(), deadline,
             [](const absl::Status& status) { ASSERT_THAT(status, IsOk()); });
  const auto one = Begin(1);
  timers_.AdvanceAndRun(absl::Minutes(1));
  EXPECT_THAT(one->refused, ElementsAre(StatusIs(StatusCode::kDataLoss, HasSubstr("1/2/4:chat")),
                                        StatusIs(StatusCode::kDataLoss, HasSubstr("acme"))));
  EXPECT_THAT(one->settings.All(), IsEmpty());
  // It takes another setting all the same.
  EXPECT_THAT(one->Set(9), IsOk());
  EXPECT_EQ(one->amount(), 9);
}

TEST_F(SharedSettingsTest, AVersionOfTheFutureIsSaidAndItsBudgetIsNotCalledShared) {
  v1::BudgetSetting setting;
  setting.set_pool("chat");
  *setting.mutable_budget() = Requests(5);
  setting.set_version(std::numeric_limits<int64_t>::max());
  Write("1/2/4:chat", setting.version(), setting.SerializeAsString());
  const auto one = Begin(1);
  timers_.AdvanceAndRun(absl::Minutes(1));
  EXPECT_THAT(one->refused, ElementsAre(StatusIs(StatusCode::kOutOfRange, HasSubstr("ahead"))));
  // It may be set here, and no other router would hear of it.
  EXPECT_THAT(one->Set(9), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("1/2/4:chat")));
  EXPECT_EQ(one->amount(), 9);
  EXPECT_THAT(one->Set(9, "acme"), IsOk());
}

TEST_F(SharedSettingsTest, AVersionThatIsAheadOfASlowClockIsTakenOnceTheClockIsThere) {
  v1::BudgetSetting setting;
  setting.set_pool("chat");
  *setting.mutable_budget() = Requests(5);
  setting.set_version(absl::ToUnixMicros(clock_.Now() + absl::Hours(30)) << 10);
  Write("1/2/4:chat", setting.version(), setting.SerializeAsString());
  const auto one = Begin(1);
  EXPECT_EQ(one->amount(), 0);
  timers_.AdvanceAndRun(absl::Hours(7));
  EXPECT_EQ(one->amount(), 5);
  EXPECT_THAT(one->Set(9), IsOk());
}

TEST_F(SharedSettingsTest, AValueThatIsLostIsPutAgainByWhoHasIt) {
  const auto one = Begin(1);
  ASSERT_THAT(one->Set(9), IsOk());
  const int64_t version = one->settings.VersionOf(NameOf("chat", Requests(9)));
  store_.Erase(absl::StrCat("budget_setting/1/2/4:chat/", version), clock_.Now() + absl::Seconds(1),
               [](const absl::Status& status) { ASSERT_THAT(status, IsOk()); });
  OneRouter two(clock_, timers_, store_, 2);
  ASSERT_THAT(two.Start(), IsOk());
  EXPECT_EQ(two.amount(), 0);
  for (int i = 0; i < 9; ++i) timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(two.amount(), 9);
  EXPECT_THAT(two.refused, ElementsAre(StatusIs(StatusCode::kNotFound, HasSubstr("1/2/4:chat"))));
}

TEST_F(SharedSettingsTest, AValueThatNobodyHasIsSaidOnce) {
  Write("1/2/4:chat", 7, std::nullopt);
  const auto one = Begin(1);
  for (int i = 0; i < 9; ++i) timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_THAT(one->refused, ElementsAre(StatusIs(StatusCode::kNotFound, HasSubstr("1/2/4:chat"))));
  EXPECT_THAT(one->Set(9), IsOk());
}

TEST_F(SharedSettingsTest, HasHeardOnceAllThatIsThereWasRead) {
  const auto one = Begin(1);
  EXPECT_TRUE(one->shared->heard());  // there is nothing
  ASSERT_THAT(one->Set(9), IsOk());
  ASSERT_THAT(one->Set(3, "acme"), IsOk());
  OneRouter two(clock_, timers_, store_, 2);
  two.switched.Fail(absl::UnavailableError("away"));
  ASSERT_THAT(two.Start(), IsOk());
  EXPECT_FALSE(two.shared->heard());
  two.switched.Fail(absl::OkStatus());
  // The first setting comes, the second one is long in coming, ...
  two.on_adopted = [&] { two.switched.Hold(); };
  timers_.AdvanceAndRun(absl::Seconds(10));
  ASSERT_EQ(two.switched.held(), 1u);
  EXPECT_THAT(two.adopted, SizeIs(1));
  EXPECT_FALSE(two.shared->heard());
  // ... and comes.
  two.on_adopted = nullptr;
  two.switched.Release();
  EXPECT_TRUE(two.shared->heard());
  EXPECT_THAT(two.adopted, SizeIs(2));
}

TEST_F(SharedSettingsTest, ASettingThatCouldNotBeReadHasNotBeenHeard) {
  const auto one = Begin(1);
  ASSERT_THAT(one->Set(9), IsOk());
  ASSERT_THAT(one->Set(3, "acme"), IsOk());
  OneRouter two(clock_, timers_, store_, 2);
  two.on_adopted = [&] { two.switched.Fail(absl::DeadlineExceededError("late")); };
  ASSERT_THAT(two.Start(), IsOk());
  EXPECT_THAT(two.adopted, SizeIs(1));
  EXPECT_FALSE(two.shared->heard());
  two.on_adopted = nullptr;
  two.switched.Fail(absl::OkStatus());
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_TRUE(two.shared->heard());
  EXPECT_THAT(two.adopted, SizeIs(2));
}

TEST_F(SharedSettingsTest, RepliesThatComeTooLateDoNothing) {
  auto one = Begin(1);
  const auto two = Begin(2);
  one->switched.Hold();
  timers_.AdvanceAndRun(absl::Seconds(10));
  ASSERT_EQ(one->switched.held(), 1u);
  one->shared = nullptr;
  ASSERT_THAT(two->Set(9), IsOk());
  one->switched.Release();
  EXPECT_EQ(one->amount(), 0);
  timers_.AdvanceAndRun(absl::Seconds(10));
  EXPECT_EQ(timers_.scheduled(), 1u);
}

}  // namespace
}  // namespace penstock::router
