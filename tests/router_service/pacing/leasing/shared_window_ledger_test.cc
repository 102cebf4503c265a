#include "router_service/pacing/leasing/shared_window_ledger.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/window_refusal.h"
#include "tests/router_service/pacing/leasing/leasing_router.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using testing::Each;
using testing::Field;
using testing::HasSubstr;

constexpr int64_t kCap = 100'000;

class SharedWindowLedgerTest : public testing::Test {
 protected:
  std::unique_ptr<LeasingRouter> Router(const std::string& owner) { return Router(OwnedBy(owner)); }
  std::unique_ptr<LeasingRouter> Router(SharedWindowLedger::Options options) {
    auto router = std::make_unique<LeasingRouter>(*store_, timers_, clock_, std::move(options));
    router->ledger->Keep("b", length_, cap_, 0);
    Pass();
    return router;
  }
  BudgetWindow Now() const { return BudgetWindow::At(clock_.Now(), length_); }
  void Pass(absl::Duration time = absl::Milliseconds(100)) { timers_.AdvanceAndRun(time); }
  WindowAnswer Reserve(LeasingRouter& router, int64_t amount) {
    return router.ledger->Reserve("b", Now(), amount, cap_);
  }
  // Asks again while the answer is that there is more.
  WindowAnswer Wait(LeasingRouter& router, int64_t amount) {
    WindowAnswer answer = Reserve(router, amount);
    for (int i = 0; i < 100 && ComesLater(answer); ++i) {
      Pass();
      answer = Reserve(router, amount);
    }
    return answer;
  }
  // Covered ones of `count`, spread over `time`; what is covered is settled at once.
  int Spend(LeasingRouter& router, int count, absl::Duration time, int64_t amount = 10) {
    int covered = 0;
    for (int i = 0; i < count; ++i) {
      const BudgetWindow window = Now();
      if (Covers(router.ledger->Reserve("b", window, amount, cap_))) {
        router.ledger->Settle("b", window, amount, amount);
        ++covered;
      }
      Pass(time / count);
    }
    return covered;
  }
  // Everything that a router may still have, at once.
  int64_t Drain(LeasingRouter& router, int64_t amount = 1) {
    int64_t sum = 0;
    for (int idle = 0; idle < 40;) {
      if (Covers(Reserve(router, amount))) {
        router.ledger->Settle("b", Now(), amount, amount);
        sum += amount;
        idle = 0;
      } else {
        Pass();
        ++idle;
      }
    }
    return sum;
  }
  void EmptyTheStore(std::initializer_list<LeasingRouter*> routers) {
    emptied_ = std::move(store_);  // calls under way may still be there
    store_ = std::make_unique<MemoryStore>(clock_);
    for (LeasingRouter* router : routers) router->link.To(*store_);
  }
  SharedWindowLedger::Figures FiguresOf(const LeasingRouter& router) {
    return router.ledger->figures().at(0);
  }
  StoreFields Stored(int64_t window) {
    StoreFields fields;
    store_->ReadTotals("budget/b", window, absl::InfiniteFuture(),
                       [&](absl::StatusOr<StoreFields> read) { fields = *std::move(read); });
    return fields;
  }

  int64_t cap_ = kCap;
  absl::Duration length_ = absl::Hours(1);
  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10) + absl::Minutes(20)};
  FakeTimers timers_{clock_};
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>(clock_);
  std::unique_ptr<MemoryStore> emptied_;
};

TEST_F(SharedWindowLedgerTest, RoutersSpendTheWholeCapTogetherAndNoMore) {
  cap_ = 1000;
  auto a = Router("a"), b = Router("b"), c = Router("c");
  int64_t sum = Drain(*a, 7);
  sum += Drain(*b, 3);
  sum += Drain(*c, 1);
  EXPECT_EQ(sum, 1000);
  EXPECT_EQ(Reserve(*a, 1), WindowAnswer::kSpent);
  EXPECT_EQ(Reserve(*b, 1), WindowAnswer::kSpent);
}

TEST_F(SharedWindowLedgerTest, NoneHoldsMoreThanAShortLease) {
  auto a = Router("a");
  Spend(*a, 100, absl::Seconds(20));  // 50 a second
  const SharedWindowLedger::Figures figures = FiguresOf(*a);
  const int64_t lease = figures.granted - figures.returned - figures.settled;
  // A hundredth of what is left, for it is more than two seconds' worth; twice that at most.
  EXPECT_GE(lease, kCap / 200);
  EXPECT_LE(lease, kCap / 50);
}

TEST_F(SharedWindowLedgerTest, AFirstRequestIsCoveredAtOnce) {
  auto a = Router("a");
  EXPECT_EQ(Reserve(*a, kCap / 100), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, ALargeFirstRequestOfAShortWindowIsCoveredAtOnce) {
  length_ = absl::Minutes(1);
  auto a = Router("a");
  EXPECT_EQ(Reserve(*a, kCap / 10), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, OneThatDiesUntouchedTakesAHundredthOfALongWindow) {
  auto a = Router("a");
  EXPECT_EQ(FiguresOf(*a).granted, kCap / 100);
  a->link.Fail(absl::UnavailableError("dead"));
  auto b = Router("b");
  EXPECT_EQ(Drain(*b, 100), kCap - kCap / 100);
}

TEST_F(SharedWindowLedgerTest, OneThatWasJustSetIsNotLeasedYet) {
  LeasingRouter a(*store_, timers_, clock_, OwnedBy("a"));
  config::v1::Budget config;
  config.set_resource(config::v1::Budget::REQUESTS);
  config.set_amount(10);
  config.set_per(config::v1::Budget::HOUR);
  config.set_hard(true);
  WindowBudget budget(clock_, *a.ledger, "b", config);
  WindowBudget::Hold hold;
  ASSERT_EQ(budget.Take(hold), WindowAnswer::kNotLeased);
  const absl::Status refusal = WindowRefusal(WindowAnswer::kNotLeased, "requests", budget);
  EXPECT_THAT(refusal,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("budget not leased yet")));
  EXPECT_EQ(RetryAfter(refusal), absl::Milliseconds(50));
  Pass(absl::Milliseconds(50));
  EXPECT_EQ(budget.Take(hold), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, WhatOthersHoldIsElsewhere) {
  cap_ = 10;
  auto a = Router("a"), b = Router("b");
  int held = 0;
  for (int i = 0; i < 100; ++i) {
    held += Covers(Reserve(*a, 1)) ? 1 : 0;
    Pass();
  }
  ASSERT_EQ(held, 10);
  EXPECT_EQ(Reserve(*b, 1), WindowAnswer::kElsewhere);
}

TEST_F(SharedWindowLedgerTest, WhatIsAskedForInVainIsLeasedNext) {
  auto a = Router("a");
  EXPECT_EQ(Reserve(*a, kCap / 2), WindowAnswer::kNotLeased);
  // Where it wanted more than it has, what it has is all there is for the moment.
  EXPECT_LT(a->ledger->Left("b", Now(), kCap), kCap / 2);
  Pass();
  EXPECT_EQ(Reserve(*a, kCap / 2), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, TheNextWindowIsLeasedBeforeItBegins) {
  length_ = absl::Seconds(1);
  cap_ = 100;
  auto a = Router("a"), b = Router("b");
  for (int second = 0; second < 20; ++second) {
    int covered = 0;
    for (int i = 0; i < 50; ++i) {
      // The very first of each window too.
      EXPECT_EQ(Reserve(*a, 1), WindowAnswer::kCovered) << second << "." << i;
      covered += Covers(Reserve(*b, 1)) ? 1 : 0;
      Pass(absl::Milliseconds(18));
    }
    EXPECT_EQ(covered, 50) << second;
    Pass(absl::Milliseconds(100));
  }
}

TEST_F(SharedWindowLedgerTest, BurstsOverManySecondsNeverGoOverTheCapOfOne) {
  length_ = absl::Seconds(1);
  cap_ = 50;
  auto a = Router("a"), b = Router("b"), c = Router("c");
  std::map<absl::Time, int> covered;
  for (int i = 0; i < 4000; ++i) {
    LeasingRouter& router = i % 7 == 0 ? *a : i % 3 == 0 ? *b : *c;
    if (Covers(Reserve(router, 1))) ++covered[Now().start];
    Pass(absl::Milliseconds(5));
  }
  int total = 0;
  for (const auto& [start, count] : covered) {
    EXPECT_LE(count, 50) << absl::FormatTime(start);
    total += count;
  }
  // 200 a second want 50.
  EXPECT_GE(total, 20 * 50 * 9 / 10);
}

TEST_F(SharedWindowLedgerTest, ALeaseThatDiedWithItsRouterCountsAsSpent) {
  cap_ = 1000;
  auto a = Router("a"), b = Router("b");
  ASSERT_EQ(Wait(*a, 100), WindowAnswer::kCovered);
  const SharedWindowLedger::Figures died = FiguresOf(*a);
  a->link.Fail(absl::UnavailableError("dead"));
  Pass(absl::Seconds(5));
  EXPECT_EQ(Drain(*b), 1000 - (died.granted - died.returned));
}

TEST_F(SharedWindowLedgerTest, OneThatStopsGivesBackWhatItDidNotSpend) {
  cap_ = 1000;
  auto a = Router("a"), b = Router("b");
  ASSERT_EQ(Wait(*a, 100), WindowAnswer::kCovered);
  a->ledger->Settle("b", Now(), 100, 40);
  a->ledger->Stop(absl::Seconds(1));
  EXPECT_EQ(Drain(*b), 960);
}

TEST_F(SharedWindowLedgerTest, OneThatStopsWaitsForACallThatIsUnderWay) {
  cap_ = 1000;
  auto a = Router("a");
  Pass(absl::Milliseconds(500));
  a->ledger->Keep("later", length_, cap_, 0);
  Pass(absl::Milliseconds(100));
  ASSERT_EQ(Wait(*a, 100), WindowAnswer::kCovered);
  a->ledger->Settle("b", Now(), 100, 40);
  Pass(absl::Seconds(2));
  a->link.Hold();
  for (int i = 0; i < 100 && a->link.held() == 0; ++i) Pass(SharedWindowLedger::kTick);
  ASSERT_EQ(a->link.held(), 1u) << "both budgets, or none, are being read";
  std::thread stop([&] { a->ledger->Stop(absl::Seconds(60)); });
  // The other budget is given back at once, which shows that it stops.
  while (a->link.held() < 2) std::this_thread::yield();
  a->link.Release();
  stop.join();
  const int64_t window = Now().number();
  for (const std::string key : {"b", "later"}) {
    StoreFields fields;
    store_->ReadTotals("budget/" + key, window, absl::InfiniteFuture(),
                       [&](absl::StatusOr<StoreFields> read) { fields = *std::move(read); });
    EXPECT_GT(fields["g/a"], 0) << key;
    EXPECT_EQ(fields["g/a"] - fields["r/a"], fields["s/a"]) << key;
  }
  auto b = Router("b");
  EXPECT_EQ(Drain(*b), 960);
}

TEST_F(SharedWindowLedgerTest, OneThatStopsDoesNotWaitForEverForACall) {
  auto a = Router("a");
  a->link.Hold();
  Pass(absl::Seconds(2));
  ASSERT_GT(a->link.held(), 0u);
  a->ledger->Stop(absl::Milliseconds(1));
  // It is not made up for once nobody waits: the store may be going.
  a->link.Release();
  EXPECT_EQ(a->link.held(), 0u);
  EXPECT_EQ(Stored(Now().number())["r/a"], 0);
}

TEST_F(SharedWindowLedgerTest, AStoreThatIsTooBusyIsAskedAgain) {
  auto a = Router("a");
  Spend(*a, 100, absl::Seconds(5));
  a->link.Fail(absl::ResourceExhaustedError("too many calls in flight"));
  Pass(absl::Milliseconds(900));
  EXPECT_FALSE(FiguresOf(*a).lost);
  a->link.Fail(absl::OkStatus());
  EXPECT_EQ(Wait(*a, kCap / 10), WindowAnswer::kCovered);
  // One that stays so is as good as away.
  a->link.Fail(absl::ResourceExhaustedError("full"));
  Pass(absl::Seconds(3));
  EXPECT_TRUE(FiguresOf(*a).lost);
  a->link.Fail(absl::OkStatus());
  Pass(absl::Seconds(1));
  EXPECT_FALSE(FiguresOf(*a).lost);
}

TEST_F(SharedWindowLedgerTest, ManyBudgetsAreReadInTurn) {
  constexpr size_t kAtATime = SharedWindowLedger::kMostBudgetsAtATime;
  constexpr size_t kBudgets = 3 * kAtATime + 10;
  LeasingRouter a(*store_, timers_, clock_, OwnedBy("a"));
  timers_.RunDue();
  a.link.Hold();
  for (size_t i = 0; i < kBudgets; ++i) a.ledger->Keep("b" + std::to_string(i), length_, kCap, 0);
  timers_.RunDue();  // it is woken once
  EXPECT_EQ(a.link.held(), kAtATime);
  Pass(SharedWindowLedger::kTick);
  EXPECT_EQ(a.link.held(), 2 * kAtATime);
  Pass(SharedWindowLedger::kTick);
  EXPECT_EQ(a.link.held(), 3 * kAtATime);
  Pass(SharedWindowLedger::kTick);
  EXPECT_EQ(a.link.held(), kBudgets);
  a.link.Release();
  Pass(absl::Seconds(1));
  EXPECT_TRUE(a.ledger->ready());
}

TEST_F(SharedWindowLedgerTest, AnIdleOneLeavesTheRestToWhomItIsWorthMore) {
  cap_ = 10;
  auto a = Router("a"), b = Router("b");
  ASSERT_EQ(Reserve(*a, 1), WindowAnswer::kCovered);
  EXPECT_EQ(Drain(*b), 9);
}

TEST_F(SharedWindowLedgerTest, AGrantWhoseReplyWasLostIsNotLost) {
  cap_ = 1000;
  auto a = Router("a");
  const int64_t before = Drain(*a, 100);
  EXPECT_EQ(before, 1000);
  Pass(absl::Hours(1));
  a->link.LoseReplies(absl::UnavailableError("connection lost"));
  Pass(absl::Seconds(10));
  a->link.LoseReplies(absl::OkStatus());
  EXPECT_EQ(Drain(*a), 1000);
}

TEST_F(SharedWindowLedgerTest, AStoreThatWasEmptiedIsWholeAgainBeforeAnythingIsGranted) {
  cap_ = 10'000;
  auto a = Router("a"), b = Router("b"), dead = Router("dead");
  const int64_t spent = 10 * Spend(*a, 200, absl::Seconds(4)) +
                        10 * Spend(*b, 200, absl::Seconds(4)) +
                        10 * Spend(*dead, 200, absl::Seconds(4));
  EXPECT_EQ(spent, 6000);
  Pass(absl::Seconds(3));
  const SharedWindowLedger::Figures died = FiguresOf(*dead);
  dead->link.Fail(absl::UnavailableError("dead"));
  Pass(absl::Seconds(3));
  EmptyTheStore({a.get(), b.get()});
  // One that comes now knows nothing but what the others told again.
  Pass(absl::Seconds(2));
  auto late = Router("late");
  EXPECT_EQ(Stored(Now().number())["s/dead"], 2000);
  const int64_t more = Drain(*a) + Drain(*b) + Drain(*late);
  EXPECT_EQ(spent + more, 10'000 - (died.granted - died.returned - died.settled));
}

TEST_F(SharedWindowLedgerTest, HalfAMinuteWithoutTheStoreRefusesNobody) {
  auto a = Router("a");
  EXPECT_EQ(Spend(*a, 400, absl::Seconds(20)), 400);  // 200 a second
  const SharedWindowLedger::Figures before = FiguresOf(*a);
  a->link.Fail(absl::UnavailableError("away"));
  EXPECT_EQ(Spend(*a, 600, absl::Seconds(30)), 600);
  const SharedWindowLedger::Figures away = FiguresOf(*a);
  EXPECT_TRUE(away.lost);
  EXPECT_GT(away.unsure, 0);
  // The rate of before, for as long as it was away.
  EXPECT_NEAR(before.rate, 200, 10);
  EXPECT_LE(away.unsure, static_cast<int64_t>(before.rate * 30.5));
  a->link.Fail(absl::OkStatus());
  Pass(absl::Seconds(2));
  EXPECT_FALSE(FiguresOf(*a).lost);
  // It is settled: the others know.
  EXPECT_EQ(Stored(Now().number())["s/a"], 10'000);
  auto b = Router("b");
  EXPECT_EQ(b->ledger->Count("b", Now()).settled, 10'000);
}

TEST_F(SharedWindowLedgerTest, WithoutTheStoreAnswersAreMarkedOnceTheLeaseIsSpent) {
  auto a = Router("a");
  Spend(*a, 200, absl::Seconds(10));
  a->link.Fail(absl::UnavailableError("away"));
  Pass(absl::Seconds(2));
  const SharedWindowLedger::Figures before = FiguresOf(*a);
  int64_t leased = before.granted - before.returned - before.settled - before.reserved;
  for (; leased >= 10; leased -= 10) ASSERT_EQ(Reserve(*a, 10), WindowAnswer::kCovered);
  EXPECT_EQ(Reserve(*a, 10), WindowAnswer::kUnsure);
}

TEST_F(SharedWindowLedgerTest, WithoutTheStoreNobodySpendsFasterThanBefore) {
  auto a = Router("a");
  Spend(*a, 400, absl::Seconds(20));  // 200 a second
  const SharedWindowLedger::Figures before = FiguresOf(*a);
  a->link.Fail(absl::UnavailableError("away"));
  const int covered = Spend(*a, 5000, absl::Seconds(10));  // 5,000 a second
  const int64_t lease = before.granted - before.returned - before.settled;
  // What was drawn of the lease until the store was missed counts for the rate, too.
  const double rate = FiguresOf(*a).rate;
  EXPECT_LE(rate, before.rate + static_cast<double>(lease) / 10);
  EXPECT_LE(10 * covered, lease + static_cast<int64_t>(rate * 10));
  EXPECT_GE(10 * covered, lease + static_cast<int64_t>(rate * 9.5));
  EXPECT_EQ(Reserve(*a, 100), WindowAnswer::kStoreDown);
}

TEST_F(SharedWindowLedgerTest, WithoutTheStoreNobodySpendsWhatIsKnownToBeGone) {
  cap_ = 3000;
  auto a = Router("a"), b = Router("b");
  Spend(*b, 100, absl::Seconds(5));
  Spend(*a, 100, absl::Seconds(5));
  Pass(absl::Seconds(2));
  const SharedWindowLedger::Figures of_b = FiguresOf(*b);
  a->link.Fail(absl::UnavailableError("away"));
  const int64_t more = 10 * Spend(*a, 1000, absl::Seconds(50));
  EXPECT_LE(1000 + more, 3000 - (of_b.granted - of_b.returned));
}

TEST_F(SharedWindowLedgerTest, AfterTheGraceHardBudgetsRefuseIfTheyShall) {
  SharedWindowLedger::Options options = OwnedBy("a");
  options.grace = absl::Seconds(20);
  options.deny_after_grace = true;
  auto a = Router(options);
  Spend(*a, 400, absl::Seconds(20));
  a->link.Fail(absl::UnavailableError("away"));
  EXPECT_EQ(Spend(*a, 380, absl::Seconds(19)), 380);
  Pass(absl::Seconds(3));
  Spend(*a, 200, absl::Seconds(1));  // what is left of the lease
  EXPECT_EQ(Reserve(*a, 10), WindowAnswer::kStoreDown);
  EXPECT_EQ(a->ledger->Left("b", Now(), kCap) / 10, 0);
  a->link.Fail(absl::OkStatus());
  Pass();
  EXPECT_EQ(Reserve(*a, 10), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, ACallThatHangsIsAStoreThatIsAway) {
  auto a = Router("a");
  Spend(*a, 400, absl::Seconds(20));
  a->link.Hold();
  EXPECT_EQ(Spend(*a, 200, absl::Seconds(10)), 200);
  EXPECT_TRUE(FiguresOf(*a).lost);
  EXPECT_LE(a->link.held(), 4u) << "more than one call of a window is under way";
  a->link.Release();
  Pass(absl::Seconds(2));
  EXPECT_FALSE(FiguresOf(*a).lost);
  EXPECT_EQ(Stored(Now().number())["s/a"], 6000);
}

TEST_F(SharedWindowLedgerTest, OneThatStartsWithoutTheStoreSpendsNothing) {
  LeasingRouter a(*store_, timers_, clock_, OwnedBy("a"));
  a.link.Fail(absl::UnavailableError("away"));
  a.ledger->Keep("b", length_, kCap, 0);
  Pass(absl::Seconds(5));
  EXPECT_FALSE(a.ledger->ready());
  EXPECT_EQ(Reserve(a, 1), WindowAnswer::kStoreDown);
  a.link.Fail(absl::OkStatus());
  Pass();
  EXPECT_TRUE(a.ledger->ready());
  EXPECT_EQ(Reserve(a, 1), WindowAnswer::kCovered);
}

TEST_F(SharedWindowLedgerTest, ABudgetWithoutACapKnowsWhatOthersSettled) {
  cap_ = WindowLedger::kNoCap;
  auto a = Router("a"), b = Router("b");
  a->ledger->Settle("b", Now(), 0, 30);
  b->ledger->Settle("b", Now(), 0, 12);
  Pass(absl::Seconds(3));
  EXPECT_EQ(a->ledger->Count("b", Now()).settled, 42);
  EXPECT_EQ(b->ledger->Count("b", Now()).settled, 42);
}

TEST_F(SharedWindowLedgerTest, AForgottenBudgetGivesBackItsLease) {
  cap_ = 1000;
  auto a = Router("a"), b = Router("b");
  ASSERT_EQ(Wait(*a, 100), WindowAnswer::kCovered);
  a->ledger->Forget("b");
  EXPECT_TRUE(a->ledger->figures().empty());
  Pass(absl::Seconds(1));
  a->ledger->Settle("b", Now(), 100, 0);
  Pass(absl::Seconds(3));
  EXPECT_EQ(Drain(*b), 1000);
}

TEST_F(SharedWindowLedgerTest, ALowerCapHoldsForWhatIsNotLeasedYet) {
  auto a = Router("a"), b = Router("b");
  ASSERT_EQ(10 * Spend(*a, 100, absl::Seconds(5)), 1000);
  cap_ = 1500;
  a->ledger->Keep("b", length_, cap_, 0);
  b->ledger->Keep("b", length_, cap_, 0);
  Pass(absl::Seconds(3));
  const int64_t more = Drain(*a) + Drain(*b);
  EXPECT_LE(1000 + more, kCap / 50 + 1500);
  EXPECT_EQ(Reserve(*a, 1), WindowAnswer::kSpent);
}

TEST_F(SharedWindowLedgerTest, IdleFiguresSayNothingIsReserved) {
  auto a = Router("a");
  std::vector<BudgetWindow> windows;
  for (int i = 0; i < 50; ++i) {
    windows.push_back(Now());
    ASSERT_EQ(Reserve(*a, 10 + i), WindowAnswer::kCovered);
    Pass();
  }
  for (int i = 0; i < 50; ++i) a->ledger->Settle("b", windows[i], 10 + i, i % 3 == 0 ? 0 : 2 * i);
  EXPECT_THAT(a->ledger->figures(), Each(Field(&SharedWindowLedger::Figures::reserved, 0)));
}

}  // namespace
}  // namespace penstock::router
