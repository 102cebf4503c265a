#include <limits>
#include <memory>
#include <string>

#include "common/store/memory_store.h"
#include "gtest/gtest.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "router_service/pacing/window_budget.h"
#include "tests/router_service/pacing/leasing/leasing_router.h"
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

// What a router that is alone with its budget sees, of its own memory and of a store.
class WindowLedgerContractTest : public testing::TestWithParam<bool> {
 protected:
  WindowLedgerContractTest() {
    if (GetParam()) {
      shared_ = std::make_unique<LeasingRouter>(store_, timers_, clock_, OwnedBy("router"));
    }
  }

  WindowLedger& ledger() {
    return shared_ ? static_cast<WindowLedger&>(*shared_->ledger) : memory_;
  }
  BudgetWindow Now(absl::Duration length = absl::Hours(1)) const {
    return BudgetWindow::At(clock_.Now(), length);
  }
  void Keep(int64_t cap, absl::Duration length = absl::Hours(1), int earlier = 0) {
    ledger().Keep("b", length, cap, earlier);
    Pass();
  }
  // What happens in the background, a little later.
  void Pass(absl::Duration time = absl::Milliseconds(100)) { timers_.AdvanceAndRun(time); }
  // Asks again while the answer is that there is more.
  template <typename Ask>
  WindowAnswer Asked(Ask ask) {
    WindowAnswer answer = ask();
    for (int i = 0; i < 100 && ComesLater(answer); ++i) {
      Pass();
      answer = ask();
    }
    return answer;
  }
  WindowAnswer Reserve(int64_t amount, int64_t cap) {
    return Asked([&] { return ledger().Reserve("b", Now(), amount, cap); });
  }
  WindowAnswer Reserve(WindowBudget& budget, double amount, WindowBudget::Hold& hold) {
    return Asked([&] { return budget.Reserve(amount, hold); });
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10) + absl::Minutes(20)};
  FakeTimers timers_{clock_};
  MemoryStore store_{clock_};
  MemoryWindowLedger memory_;
  std::unique_ptr<LeasingRouter> shared_;
};

TEST_P(WindowLedgerContractTest, AllOfTheCapMayBeReservedAndNotOneMore) {
  Keep(100);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Reserve(10, 100), WindowAnswer::kCovered) << i;
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 100);
  EXPECT_EQ(ledger().Left("b", Now(), 100), 0);
}

TEST_P(WindowLedgerContractTest, NothingAsksWhetherThereIsAnythingLeft) {
  Keep(10);
  EXPECT_EQ(ledger().Reserve("b", Now(), 0, 10), WindowAnswer::kCovered);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 0);
  EXPECT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(0, 10), WindowAnswer::kSpent);
}

TEST_P(WindowLedgerContractTest, SettlingReplacesWhatWasReserved) {
  Keep(100);
  ASSERT_EQ(Reserve(60, 100), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 60, 25);
  EXPECT_EQ(ledger().Count("b", Now()).settled, 25);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 0);
  EXPECT_EQ(Reserve(75, 100), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
}

TEST_P(WindowLedgerContractTest, WhatWasGivenBackMayBeReservedAgain) {
  Keep(10);
  ASSERT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 10, 0);
  EXPECT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
}

TEST_P(WindowLedgerContractTest, WhatTookMoreThanItReservedLeavesLess) {
  Keep(100);
  ASSERT_EQ(Reserve(10, 100), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 10, 95);
  EXPECT_EQ(Reserve(6, 100), WindowAnswer::kSpent);
  EXPECT_EQ(Reserve(5, 100), WindowAnswer::kCovered);
}

TEST_P(WindowLedgerContractTest, TheNextWindowIsAnotherOne) {
  Keep(10);
  ASSERT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
  Pass(absl::Hours(1));
  EXPECT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
  // Late, and of the window before.
  ledger().Settle("b", Now().Before(), 10, 10);
  EXPECT_EQ(ledger().Count("b", Now()).settled, 0);
}

TEST_P(WindowLedgerContractTest, WithoutACapAllIsCountedAndNothingRefused) {
  Keep(WindowLedger::kNoCap);
  EXPECT_EQ(Reserve(1'000'000, WindowLedger::kNoCap), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 0, 7);
  EXPECT_EQ(ledger().Count("b", Now()).settled, 7);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 1'000'000);
}

TEST_P(WindowLedgerContractTest, AForgottenBudgetBindsNobody) {
  Keep(10);
  ASSERT_EQ(Reserve(10, 10), WindowAnswer::kCovered);
  ledger().Forget("b");
  ledger().Settle("b", Now(), 10, 10);
  Pass();
  EXPECT_EQ(ledger().Reserve("b", Now(), 1000, 10), WindowAnswer::kCovered);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 0);
}

TEST_P(WindowLedgerContractTest, OneThatIsSetAgainInItsWindowIsNotSpentTwice) {
  Keep(100);
  ASSERT_EQ(Reserve(60, 100), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 60, 60);
  ledger().Forget("b");
  Pass(absl::Seconds(5));
  Keep(100);
  EXPECT_EQ(ledger().Count("b", Now()).settled, 60);
  EXPECT_EQ(Reserve(41, 100), WindowAnswer::kSpent);
  EXPECT_EQ(Reserve(40, 100), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
  // Its next window is whole.
  Pass(absl::Hours(1));
  EXPECT_EQ(Reserve(100, 100), WindowAnswer::kCovered);
}

TEST_P(WindowLedgerContractTest, WhatEndsWhileItIsForgottenCountsOnceItIsSetAgain) {
  Keep(100);
  ASSERT_EQ(Reserve(30, 100), WindowAnswer::kCovered);
  ledger().Forget("b");
  Pass(absl::Seconds(5));
  ledger().Settle("b", Now(), 30, 20);
  Pass(absl::Seconds(5));
  Keep(100);
  EXPECT_EQ(ledger().Count("b", Now()).settled, 20);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, 0);
  EXPECT_EQ(Reserve(80, 100), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
}

TEST_P(WindowLedgerContractTest, ABrokenMeterSpendsAllAndGivesNothingBack) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  Keep(100);
  ASSERT_EQ(Reserve(10, 100), WindowAnswer::kCovered);
  ledger().Settle("b", Now(), 0, kMost);
  ledger().Settle("b", Now(), 0, kMost);
  Pass(absl::Seconds(3));
  EXPECT_EQ(ledger().Count("b", Now()).settled, kMost);
  EXPECT_EQ(ledger().Left("b", Now(), 100), 0);
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
  ledger().Settle("b", Now(), 10, -5);
  EXPECT_EQ(ledger().Count("b", Now()).settled, kMost);
  EXPECT_EQ(Reserve(1, 100), WindowAnswer::kSpent);
}

TEST_P(WindowLedgerContractTest, ABrokenMeterRefusesNothingWithoutACap) {
  Keep(WindowLedger::kNoCap);
  ledger().Settle("b", Now(), 0, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(Reserve(5, WindowLedger::kNoCap), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(WindowLedger::kNoCap, WindowLedger::kNoCap), WindowAnswer::kCovered);
  EXPECT_EQ(ledger().Count("b", Now()).reserved, WindowLedger::kNoCap);
}

TEST(MemoryWindowLedgerTest, ForgottenBudgetsAreDroppedOnceTheirWindowsAreOver) {
  constexpr absl::Duration kHour = absl::Hours(1);
  const absl::Time start = absl::UnixEpoch() + 10 * kHour;
  const auto window = [&](int hour) { return BudgetWindow::At(start + hour * kHour, kHour); };
  MemoryWindowLedger ledger;
  for (const char* key : {"kept", "forgotten", "rate", "untouched"}) {
    ledger.Keep(key, kHour, 100, key == std::string("rate") ? 1 : 0);
    if (key != std::string("untouched")) ledger.Settle(key, window(0), 0, 5);
  }
  for (const char* key : {"forgotten", "rate", "untouched"}) ledger.Forget(key);
  EXPECT_EQ(ledger.budgets(), 3u);  // nothing is to be known of the one that was not touched
  ledger.Settle("kept", window(0), 0, 1);
  EXPECT_EQ(ledger.budgets(), 3u);
  ledger.Settle("kept", window(1), 0, 1);
  EXPECT_EQ(ledger.budgets(), 2u);
  ledger.Settle("kept", window(2), 0, 1);
  EXPECT_EQ(ledger.budgets(), 1u);
}

TEST_P(WindowLedgerContractTest, WindowsWithoutEndAreNotKept) {
  Keep(10, absl::Seconds(1));
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(ledger().Reserve("b", Now(absl::Seconds(1)), 1, 10), WindowAnswer::kCovered) << i;
    Pass(absl::Seconds(1));
  }
  // The first ones are gone: settled late, they count nowhere.
  ledger().Settle("b", BudgetWindow::At(clock_.Now() - absl::Seconds(200), absl::Seconds(1)), 1, 1);
  EXPECT_EQ(ledger().Count("b", Now(absl::Seconds(1)).Before()).settled, 0);
}

TEST_P(WindowLedgerContractTest, HardRequestsAreNeverExceeded) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::REQUESTS, 2.5, Budget::HOUR, true));
  Pass();
  WindowBudget::Hold first, second, third;
  EXPECT_EQ(budget.Take(first), WindowAnswer::kCovered);
  Pass();
  EXPECT_EQ(budget.Take(second), WindowAnswer::kCovered);
  Pass();
  EXPECT_EQ(budget.Take(third), WindowAnswer::kSpent);
  EXPECT_DOUBLE_EQ(budget.spent(), 2);
  EXPECT_DOUBLE_EQ(budget.remaining(), 0.5);
  EXPECT_EQ(budget.Ask(), WindowAnswer::kSpent);
  budget.GiveBack(first);
  EXPECT_EQ(budget.Take(third), WindowAnswer::kCovered);
}

TEST_P(WindowLedgerContractTest, SoftRequestsCountOnAndSayThatTheyAreSpent) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::REQUESTS, 1, Budget::HOUR, false));
  WindowBudget::Hold first, second;
  EXPECT_EQ(budget.Take(first), WindowAnswer::kCovered);
  EXPECT_EQ(budget.Take(second), WindowAnswer::kSpent);
  EXPECT_DOUBLE_EQ(budget.spent(), 2);
  budget.Settle(first, 0);
  budget.GiveBack(second);
  EXPECT_DOUBLE_EQ(budget.spent(), 1);
}

TEST_P(WindowLedgerContractTest, RequestsComeBackInTheirOwnWindowOnly) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  Pass();
  WindowBudget::Hold first, second;
  EXPECT_EQ(budget.Take(first), WindowAnswer::kCovered);
  Pass(absl::Hours(1));
  EXPECT_EQ(budget.Take(second), WindowAnswer::kCovered);
  budget.GiveBack(first);
  EXPECT_DOUBLE_EQ(budget.spent(), 1);
}

TEST_P(WindowLedgerContractTest, HardDollarsAreReservedBeforeTheyAreSpent) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::DOLLARS, 1, Budget::DAY, true));
  Pass();
  WindowBudget::Hold hold, other;
  EXPECT_EQ(Reserve(budget, 0.2, hold), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(budget, 0.5, hold), WindowAnswer::kCovered);
  EXPECT_DOUBLE_EQ(budget.spent(), 0);
  EXPECT_NEAR(budget.remaining(), 0.3, 1e-12);
  EXPECT_EQ(budget.Reserve(0.4, other), WindowAnswer::kSpent);
  budget.Settle(hold, 0.55);
  EXPECT_NEAR(budget.spent(), 0.55, 1e-12);
  EXPECT_EQ(Reserve(budget, 0.4, other), WindowAnswer::kCovered);
}

TEST_P(WindowLedgerContractTest, SoftDollarsCountWhenTheyAreSettled) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::DOLLARS, 1, Budget::DAY, false));
  WindowBudget::Hold hold;
  EXPECT_EQ(budget.Take(hold), WindowAnswer::kCovered);
  budget.Settle(hold, 1.25);
  EXPECT_EQ(budget.Take(hold), WindowAnswer::kSpent);
  EXPECT_DOUBLE_EQ(budget.remaining(), 0);
}

TEST_P(WindowLedgerContractTest, ARateIsDrawnFromTheWindowBeforeFirst) {
  // 10 W: 6,000 J in each of two windows.
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::JOULES, 10, Budget::SECOND, true));
  Pass();
  WindowBudget::Hold hold;
  const auto reserve = [&](double joules) { return Reserve(budget, joules, hold); };
  EXPECT_EQ(reserve(5000), WindowAnswer::kCovered);
  EXPECT_EQ(hold[0].window.start, BudgetWindow::At(clock_.Now(), absl::Minutes(10)).Before().start);
  EXPECT_EQ(reserve(5000), WindowAnswer::kCovered);
  EXPECT_EQ(hold[1].window.start, BudgetWindow::At(clock_.Now(), absl::Minutes(10)).start);
  EXPECT_EQ(reserve(1001), WindowAnswer::kSpent);
  EXPECT_EQ(reserve(1000), WindowAnswer::kCovered);
  // What devices draw without work is not to be had.
  budget.SetIdleWatts(10);
  Pass(absl::Seconds(2));
  EXPECT_EQ(reserve(1), WindowAnswer::kSpent);
}

TEST_P(WindowLedgerContractTest, AHoldOfSeveralPartsIsSettledInTheirWindows) {
  WindowBudget budget(clock_, ledger(), "b", Config(Budget::JOULES, 100, Budget::HOUR, true));
  Pass();
  WindowBudget::Hold hold;
  ASSERT_EQ(Reserve(budget, 10, hold), WindowAnswer::kCovered);
  Pass(absl::Hours(1));
  ASSERT_EQ(Reserve(budget, 10, hold), WindowAnswer::kCovered);
  ASSERT_EQ(hold.size(), 2u);
  const BudgetWindow before = hold[0].window, now = hold[1].window;
  budget.Settle(hold, 35);
  EXPECT_EQ(ledger().Count("b", before).settled, 10'000'000);
  EXPECT_EQ(ledger().Count("b", now).settled, 25'000'000);
  EXPECT_EQ(ledger().Count("b", now).reserved, 0);
}

INSTANTIATE_TEST_SUITE_P(Ledgers, WindowLedgerContractTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Shared" : "Memory"; });

}  // namespace
}  // namespace penstock::router
