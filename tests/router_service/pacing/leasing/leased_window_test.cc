#include "router_service/pacing/leasing/leased_window.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

BudgetTake TotalsOf(const LeasedWindow& window) {
  BudgetTake take;
  window.Tell(take);
  return take;
}

TEST(LeasedWindowTest, WhatIsLeasedIsFreeUntilItIsReservedOrSpent) {
  LeasedWindow window("me");
  window.Granted({.granted = 100, .taken = 100});
  window.Reserve(30);
  EXPECT_EQ(window.Free(), 70);
  window.Settle(30, 20);
  EXPECT_EQ(window.Free(), 80);
  window.GiveBack(50);
  EXPECT_EQ(window.Free(), 30);
  EXPECT_EQ(window.Taken(), 50);
  EXPECT_EQ(window.reserved(), 0);
}

TEST(LeasedWindowTest, WhatWasSpentBeyondTheLeaseCounts) {
  LeasedWindow window("me");
  window.Granted({.granted = 10, .taken = 10});
  window.Settle(0, 25);
  EXPECT_EQ(window.Free(), -15);
  EXPECT_EQ(window.Taken(), 25);
}

TEST(LeasedWindowTest, OthersAreMirrored) {
  LeasedWindow window("me");
  EXPECT_THAT(window.Read({{"g/a", 50}, {"r/a", 10}, {"s/a", 20}, {"s/b", 7}, {"g/me", 5}}),
              IsEmpty());
  EXPECT_EQ(window.others(), 2u);
  EXPECT_EQ(window.TakenByOthers(), 40 + 7);
  EXPECT_EQ(window.SettledByOthers(), 27);
}

TEST(LeasedWindowTest, WhatTheStoreForgotOfOthersIsSaid) {
  LeasedWindow window("me");
  window.Read({{"g/a", 50}, {"s/a", 20}, {"g/b", 7}});
  EXPECT_THAT(window.Read({{"g/a", 40}, {"s/a", 30}}),
              UnorderedElementsAre(StoreField{"g/a", 50}, StoreField{"g/b", 7}));
  // The larger of both counts.
  EXPECT_EQ(window.TakenByOthers(), 57);
  EXPECT_EQ(window.SettledByOthers(), 30);
  EXPECT_THAT(window.Read({{"g/a", 50}, {"s/a", 30}, {"g/b", 7}}), IsEmpty());
}

TEST(LeasedWindowTest, WhatTheStoreForgotOfTheOwnIsToBeToldAgain) {
  LeasedWindow window("me");
  EXPECT_TRUE(window.told());
  window.Settle(0, 5);
  EXPECT_FALSE(window.told());
  window.Told(TotalsOf(window));
  EXPECT_TRUE(window.told());
  window.Read({});
  EXPECT_FALSE(window.told());
}

TEST(LeasedWindowTest, AGrantWhoseReplyWasLostIsReadBack) {
  LeasedWindow window("me");
  window.Read({{"g/me", 30}});
  EXPECT_TRUE(window.told());
  EXPECT_EQ(window.Free(), 30);
}

TEST(LeasedWindowTest, WhatTheOwnerHadOfItBeforeIsReadBack) {
  LeasedWindow window("me");
  window.Settle(0, 7);  // before it was read
  window.Read({{"g/me", 100}, {"r/me", 35}, {"s/me", 60}});
  EXPECT_EQ(window.Free(), 5);
  EXPECT_EQ(window.Taken(), 65);
  EXPECT_EQ(window.settled(), 60);
}

TEST(LeasedWindowTest, ABrokenMeterLeavesNothing) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  LeasedWindow window("me");
  window.Granted({.granted = 100, .taken = 100});
  window.Reserve(30);
  window.Settle(0, kMost);
  window.Settle(0, kMost);
  EXPECT_EQ(window.settled(), kMost);
  EXPECT_EQ(window.Free(), 100 - kMost);
  EXPECT_EQ(window.Taken(), kMost);
  window.Settle(30, -1);
  EXPECT_EQ(window.settled(), kMost);
}

TEST(LeasedWindowTest, AGrantSaysWhatOthersTookSince) {
  LeasedWindow window("me");
  window.Read({{"g/a", 10}});
  BudgetTake take = TotalsOf(window);
  window.Told(take);
  window.Granted({.granted = 20, .taken = 75});
  EXPECT_EQ(window.TakenByOthers(), 55);
}

TEST(LeasedWindowTest, FieldsThatMeanNothingAreLeftOut) {
  LeasedWindow window("me");
  EXPECT_THAT(window.Read({{"", 1}, {"g/", 1}, {"x/a", 9}, {"g/a", -5}, {"g", 3}}), IsEmpty());
  EXPECT_EQ(window.TakenByOthers(), 0);
}

TEST(LeasedWindowTest, SumsStayInTheirBits) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  LeasedWindow window("me");
  window.Read({{"g/a", kMost}, {"g/b", kMost}, {"s/b", kMost}});
  EXPECT_EQ(window.TakenByOthers(), kMost);
}

TEST(LeasedWindowTest, OwnersBeyondTheStoresRoomAreNotMirrored) {
  LeasedWindow window("me");
  StoreFields fields;
  for (size_t i = 0; i < 2 * LeasedWindow::kMostOwners; ++i) {
    fields["g/" + std::to_string(i)] = 1;
  }
  window.Read(fields);
  EXPECT_EQ(window.others(), LeasedWindow::kMostOwners);
}

}  // namespace
}  // namespace penstock::router
