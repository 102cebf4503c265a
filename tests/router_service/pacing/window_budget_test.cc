#include "router_service/pacing/window_budget.h"

#include "common/store/memory_store.h"
#include "gtest/gtest.h"
#include "router_service/pacing/store_window_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

Budget Config(Budget::Resource resource, double amount, Budget::Per per, bool hard) {
  Budget budget;
  budget.set_resource(resource);
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_hard(hard);
  return budget;
}

// On both ledgers.
class WindowBudgetTest : public testing::TestWithParam<bool> {
 protected:
  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10) + absl::Minutes(20)};
  MemoryStore store_{clock_};
  MemoryWindowLedger in_memory_;
  StoreWindowLedger in_store_{store_};
  WindowLedger& ledger_ = GetParam() ? static_cast<WindowLedger&>(in_store_) : in_memory_;
};

TEST_P(WindowBudgetTest, AHardBudgetOfRequestsIsNeverExceeded) {
  WindowBudget budget(clock_, ledger_, "b", Config(Budget::REQUESTS, 2.5, Budget::HOUR, true));
  WindowBudget::Hold hold;
  EXPECT_TRUE(budget.Take(hold));
  EXPECT_TRUE(budget.Take(hold));
  EXPECT_FALSE(budget.Take(hold));
  EXPECT_DOUBLE_EQ(budget.spent(), 2);
  EXPECT_DOUBLE_EQ(budget.remaining(), 0.5);
}

TEST_P(WindowBudgetTest, ASoftBudgetCountsOnAndSaysThatItIsSpent) {
  WindowBudget budget(clock_, ledger_, "b", Config(Budget::REQUESTS, 1, Budget::HOUR, false));
  WindowBudget::Hold hold;
  EXPECT_TRUE(budget.Take(hold));
  EXPECT_FALSE(budget.Take(hold));
  EXPECT_DOUBLE_EQ(budget.spent(), 2);
}

TEST_P(WindowBudgetTest, WindowsAreAlignedAndStartEmpty) {
  WindowBudget budget(clock_, ledger_, "b", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  WindowBudget::Hold hold;
  EXPECT_TRUE(budget.Take(hold));
  EXPECT_EQ(budget.window_left(), absl::Minutes(40));
  clock_.Advance(absl::Minutes(40));
  EXPECT_TRUE(budget.Take(hold));
}

TEST_P(WindowBudgetTest, WhatIsGivenBackMayBeTakenAgainInItsWindowOnly) {
  WindowBudget budget(clock_, ledger_, "b", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  WindowBudget::Hold first, second;
  EXPECT_TRUE(budget.Take(first));
  budget.GiveBack(first);
  EXPECT_TRUE(budget.Take(first));
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(budget.Take(second));
  budget.GiveBack(first);  // of the window before
  EXPECT_DOUBLE_EQ(budget.spent(), 1);
}

TEST_P(WindowBudgetTest, OtherResourcesAreSpentWhenSettled) {
  WindowBudget budget(clock_, ledger_, "b", Config(Budget::DOLLARS, 1, Budget::DAY, true));
  WindowBudget::Hold hold;
  EXPECT_TRUE(budget.Take(hold));
  EXPECT_DOUBLE_EQ(budget.spent(), 0);
  budget.Spend(1.25);
  EXPECT_FALSE(budget.Take(hold));
  EXPECT_DOUBLE_EQ(budget.remaining(), 0);
}

TEST(StoreWindowLedgerTest, TakesOnlyAStoreInMemory) {
  EXPECT_THAT(StoreWindowLedger::CheckStore(""), IsOk());
  EXPECT_THAT(StoreWindowLedger::CheckStore("memory://"), IsOk());
  EXPECT_THAT(StoreWindowLedger::CheckStore("redis://me:secret@host/1"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "store: redis:// keeps no budgets, wanted memory:// or "
                       "nothing"));
  EXPECT_THAT(StoreWindowLedger::CheckStore("me:secret@host"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "store: wanted an address with a scheme, say memory://"));
}

INSTANTIATE_TEST_SUITE_P(Ledgers, WindowBudgetTest, testing::Bool());

}  // namespace
}  // namespace penstock::router
