#include "router_service/settings/budget_settings.h"

#include <limits>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using config::v1::Budget;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Budget Requests(double amount, const std::string& tenant = "") {
  Budget budget;
  budget.set_resource(Budget::REQUESTS);
  budget.set_per(Budget::HOUR);
  budget.set_amount(amount);
  budget.set_hard(true);
  budget.set_tenant(tenant);
  return budget;
}

// A router as far as its budgets go.
struct OneRouter {
  explicit OneRouter(const Clock& clock, uint32_t instance = 1)
      : pacer(clock, windows, {}), settings(pacer, clock, instance) {}
  // Of everybody in the pool; 0: none.
  double amount() const {
    const auto list = pacer.List("chat", "");
    return list.empty() ? 0 : list[0].budget().amount();
  }
  MemoryWindowLedger windows;
  BudgetPacer pacer;
  BudgetSettings settings;
};

class BudgetSettingsTest : public testing::Test {
 protected:
  FakeClock clock_;
  OneRouter one_{clock_, 1}, two_{clock_, 2};
};

TEST_F(BudgetSettingsTest, ASettingHoldsUntilTheConfigurationSaysSomethingElse) {
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  EXPECT_EQ(one_.amount(), 5);
  EXPECT_FALSE(one_.settings.Holds(NameOf("chat", Requests(5))));
  ASSERT_THAT(one_.settings.Set("chat", Requests(9)), IsOk());
  EXPECT_EQ(one_.amount(), 9);
  EXPECT_TRUE(one_.settings.Holds(NameOf("chat", Requests(5))));
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  EXPECT_EQ(one_.amount(), 9);
  ASSERT_THAT(one_.settings.Configure("chat", Requests(6)), IsOk());
  EXPECT_EQ(one_.amount(), 6);
  EXPECT_FALSE(one_.settings.Holds(NameOf("chat", Requests(5))));
  // And one that is set then replaces what the configuration says now.
  ASSERT_THAT(one_.settings.Set("chat", Requests(7)), IsOk());
  EXPECT_EQ(one_.amount(), 7);
}

TEST_F(BudgetSettingsTest, AnEntryThatGoesEndsTheSettingToo) {
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  ASSERT_THAT(one_.settings.Set("chat", Requests(9)), IsOk());
  ASSERT_THAT(one_.settings.Configure("chat", Requests(0)), IsOk());
  EXPECT_EQ(one_.amount(), 0);
}

TEST_F(BudgetSettingsTest, ABudgetThatOnlyACallMadeStaysThroughReloads) {
  ASSERT_THAT(one_.settings.Set("chat", Requests(9)), IsOk());
  EXPECT_EQ(one_.amount(), 9);
  // Its entry in the configuration takes over.
  ASSERT_THAT(one_.settings.Configure("chat", Requests(4)), IsOk());
  EXPECT_EQ(one_.amount(), 4);
}

TEST_F(BudgetSettingsTest, RemovingIsASettingToo) {
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  ASSERT_THAT(one_.settings.Set("chat", Requests(0)), IsOk());
  EXPECT_EQ(one_.amount(), 0);
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  EXPECT_EQ(one_.amount(), 0);
}

TEST_F(BudgetSettingsTest, TheLaterSettingCountsInWhateverOrderTheyAreLearnt) {
  const auto first = one_.settings.Set("chat", Requests(1));
  clock_.Advance(absl::Milliseconds(1));
  const auto second = two_.settings.Set("chat", Requests(2));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_THAT(one_.settings.Adopt(*second), IsOkAndHolds(first->version()));
  EXPECT_THAT(two_.settings.Adopt(*first), IsOkAndHolds(std::nullopt));
  EXPECT_EQ(one_.amount(), 2);
  EXPECT_EQ(two_.amount(), 2);
  // A setting that answers another is later than it, whatever the clocks say.
  const auto third = one_.settings.Set("chat", Requests(3));
  ASSERT_THAT(third, IsOk());
  EXPECT_GT(third->version(), second->version());
}

TEST_F(BudgetSettingsTest, SettingsOfOneMomentHaveDifferentVersions) {
  const auto a = one_.settings.Set("chat", Requests(1));
  const auto b = two_.settings.Set("chat", Requests(2));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->version(), b->version());
}

TEST_F(BudgetSettingsTest, TheSameSettingAgainIsTheSameVersion) {
  const auto a = one_.settings.Set("chat", Requests(1));
  const auto b = one_.settings.Set("chat", Requests(1));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->version(), b->version());
}

TEST_F(BudgetSettingsTest, AnotherRoutersSettingHoldsWhereTheConfigurationsAgree) {
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  ASSERT_THAT(two_.settings.Configure("chat", Requests(6)), IsOk());
  const auto set = one_.settings.Set("chat", Requests(9));
  ASSERT_THAT(set, IsOk());
  ASSERT_THAT(two_.settings.Adopt(*set), IsOk());
  EXPECT_EQ(two_.amount(), 6);
  // The router with the other configuration reloads: both have one now.
  ASSERT_THAT(two_.settings.Configure("chat", Requests(5)), IsOk());
  EXPECT_EQ(two_.amount(), 9);
}

TEST_F(BudgetSettingsTest, WhatThePacerRefusesIsNotKept) {
  Budget wrong = Requests(5);
  wrong.set_per(Budget::REQUEST);
  EXPECT_THAT(one_.settings.Set("chat", wrong), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(one_.settings.Set("chat", Requests(-1)), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(one_.settings.All(), IsEmpty());
  v1::BudgetSetting foreign;
  *foreign.mutable_budget() = wrong;
  foreign.set_version(1);
  EXPECT_THAT(one_.settings.Adopt(foreign), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(one_.settings.VersionOf(NameOf("", wrong)), 0);
}

TEST_F(BudgetSettingsTest, AVersionOfTheFutureIsNotTaken) {
  v1::BudgetSetting setting;
  setting.set_pool("chat");
  *setting.mutable_budget() = Requests(7);
  for (const int64_t version :
       {std::numeric_limits<int64_t>::max(),
        absl::ToUnixMicros(clock_.Now() + absl::Hours(25)) << 10}) {
    setting.set_version(version);
    EXPECT_THAT(one_.settings.Adopt(setting),
                StatusIs(StatusCode::kOutOfRange, HasSubstr("ahead of this router's clock")));
  }
  EXPECT_THAT(one_.settings.All(), IsEmpty());
  ASSERT_THAT(one_.settings.Set("chat", Requests(3)), IsOk());
  EXPECT_EQ(one_.amount(), 3);
  // A clock that is somewhat ahead is another matter.
  setting.set_version(absl::ToUnixMicros(clock_.Now() + absl::Hours(23)) << 10);
  ASSERT_THAT(one_.settings.Adopt(setting), IsOk());
  const auto next = one_.settings.Set("chat", Requests(4));
  ASSERT_THAT(next, IsOk());
  EXPECT_GT(next->version(), setting.version());
}

TEST_F(BudgetSettingsTest, AClockBeyondAllVersionsIsAnError) {
  FakeClock broken(absl::FromUnixMicros(int64_t{1} << 53));
  OneRouter router(broken);
  EXPECT_THAT(router.settings.Set("chat", Requests(3)),
              StatusIs(StatusCode::kOutOfRange, HasSubstr("clock")));
  EXPECT_EQ(router.amount(), 0);
  FakeClock last(absl::FromUnixMicros((int64_t{1} << 53) - 1));
  OneRouter other(last);
  const auto set = other.settings.Set("chat", Requests(3));
  ASSERT_THAT(set, IsOk());
  EXPECT_GT(set->version(), 0);
}

TEST_F(BudgetSettingsTest, OwnersAreThoseOfEveryBudget) {
  ASSERT_THAT(one_.settings.Configure("chat", Requests(5)), IsOk());
  ASSERT_THAT(one_.settings.Configure("", Requests(5, "acme")), IsOk());
  ASSERT_THAT(one_.settings.Set("chat", Requests(5, "acme")), IsOk());
  EXPECT_THAT(one_.settings.Owners(),
              ElementsAre(Pair("", "acme"), Pair("chat", ""), Pair("chat", "acme")));
}

TEST_F(BudgetSettingsTest, AConfigurationsErrorNamesThePool) {
  config::v1::Router config;
  config::v1::Pool& pool = *config.add_pools();
  pool.set_name("chat");
  *pool.add_budgets() = Requests(-1);
  EXPECT_THAT(one_.settings.ConfigureAll(config),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("pool chat: ")));
}

TEST_F(BudgetSettingsTest, ThereAreOnlySoMany) {
  for (size_t i = 0; i < BudgetSettings::kMostSettings; ++i) {
    v1::BudgetSetting setting;
    setting.set_pool("chat");
    *setting.mutable_budget() = Requests(0, std::to_string(i));
    setting.set_version(1);
    ASSERT_THAT(one_.settings.Adopt(setting), IsOk());
  }
  EXPECT_THAT(one_.settings.Set("chat", Requests(1, "more")),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("4096")));
  // One that was set before may change.
  EXPECT_THAT(one_.settings.Set("chat", Requests(0, "7")), IsOk());
}

}  // namespace
}  // namespace penstock::router
