#include "router_service/pacing/priced_budget.h"

#include <cmath>
#include <thread>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

Budget Joules(double amount, Budget::Per per, bool hard) {
  Budget budget;
  budget.set_resource(Budget::JOULES);
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_hard(hard);
  return budget;
}

// One choice among options at the price and headroom of the moment, recorded and settled at once.
double Serve(PricedBudget& budget, const std::vector<PricedOption>& options) {
  if (!budget.Open()) return 0;
  const double price = budget.price();
  const double headroom = budget.Headroom();
  const PricedOption* best = nullptr;
  const PricedOption* cheapest = &options[0];
  for (const PricedOption& o : options) {
    if (o.energy_j < cheapest->energy_j) cheapest = &o;
  }
  for (const PricedOption& o : options) {
    if (o.energy_j > headroom && &o != cheapest) continue;
    if (best == nullptr ||
        o.quality - price * o.energy_j > best->quality - price * best->energy_j) {
      best = &o;
    }
  }
  budget.Hold(best->energy_j);
  budget.Record(DecisionTable(0, options, 1, 0, false));
  budget.Settle(best->energy_j, best->energy_j);
  return best->energy_j;
}

std::vector<PricedOption> Draw(uint64_t i, double dear = 8) {
  CounterRandom random(11, i);
  const double base = 0.4 + 0.2 * random.Uniform();
  return {{base, 1}, {base + 0.2 * random.Uniform(), 3}, {base + 0.4 * random.Uniform(), dear}};
}

TEST(PricedBudgetTest, MeanPerRequestMeetsTheBudget) {
  FakeClock clock;
  for (const bool hard : {false, true}) {
    for (const double amount : {1.2, 2.0, 3.0, 5.0}) {
      PricedBudget budget(clock, Joules(amount, Budget::REQUEST, hard), {});
      double spent = 0;
      for (uint64_t i = 0; i < 4000; ++i) spent += Serve(budget, Draw(i));
      EXPECT_LE(spent / 4000, amount * (1 + 1e-9)) << amount << hard;
      EXPECT_GE(spent / 4000, amount * 0.975) << amount << hard;
    }
  }
}

TEST(PricedBudgetTest, AStartPriceThatIsThirtyTimesWrongDoesNotMatter) {
  FakeClock clock;
  for (const double start : {0.05 / 30, 0.05 * 30}) {
    PricedBudget budget(clock, Joules(2, Budget::REQUEST, false), {.start_price_per_joule = start});
    double spent = 0;
    for (uint64_t i = 0; i < 2000; ++i) spent += Serve(budget, Draw(i));
    EXPECT_NEAR(spent / 2000, 2, 0.08) << start;
    EXPECT_LE(spent / 2000, 2 * (1 + 1e-9)) << start;
  }
}

TEST(PricedBudgetTest, AChangeOfMixIsFollowed) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(3, Budget::REQUEST, false), {});
  double before = 0, after = 0;
  for (uint64_t i = 0; i < 3000; ++i) before += Serve(budget, Draw(i));
  for (uint64_t i = 0; i < 3000; ++i) after += Serve(budget, Draw(i, 16));
  EXPECT_NEAR(before / 3000, 3, 0.09);
  EXPECT_NEAR(after / 3000, 3, 0.09);
  EXPECT_LE((before + after) / 6000, 3 * (1 + 1e-9));
}

TEST(PricedBudgetTest, IdenticalJoulesSpendTheBudget) {
  FakeClock clock;
  // Reject at no cost, or take one joule.
  PricedBudget budget(clock, Joules(0.4, Budget::REQUEST, false), {});
  double spent = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    spent += Serve(budget, {{0, 0}, {CounterRandom(3, i).Uniform(), 1}});
  }
  EXPECT_NEAR(spent / 4000, 0.4, 0.012);
}

TEST(PricedBudgetTest, WattsAreKeptAtSteadyAndBurstyTraffic) {
  for (const bool bursty : {false, true}) {
    FakeClock clock;
    // 20 requests a second of 1 to 8 joules against 50 W.
    PricedBudget budget(clock, Joules(50, Budget::SECOND, false), {});
    const absl::Time start = clock.Now();
    double spent = 0;
    for (uint64_t i = 0; i < 30'000; ++i) {
      const bool quiet = bursty && (i / 1000) % 2 == 1;
      clock.Advance(absl::Milliseconds(bursty ? (quiet ? 75 : 25) : 50));
      spent += Serve(budget, Draw(i));
    }
    const double watts = spent / absl::ToDoubleSeconds(clock.Now() - start);
    EXPECT_LE(watts, 50.1) << bursty;
    EXPECT_GE(watts, 48) << bursty;
  }
}

TEST(PricedBudgetTest, IdleWattsAreTakenOffAPowerBudget) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(50, Budget::SECOND, false), {});
  budget.SetIdleWatts(20);
  const absl::Time start = clock.Now();
  double spent = 0;
  for (uint64_t i = 0; i < 30'000; ++i) {
    clock.Advance(absl::Milliseconds(50));
    spent += Serve(budget, Draw(i));
  }
  EXPECT_NEAR(spent / absl::ToDoubleSeconds(clock.Now() - start), 30, 0.9);
}

TEST(PricedBudgetTest, CreditOfAQuietTimeIsLimited) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(1, Budget::SECOND, true), {});
  clock.Advance(absl::Hours(5));
  EXPECT_DOUBLE_EQ(budget.Headroom(), 600);
}

TEST(PricedBudgetTest, AHardMeanRefusesAndRecovers) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(1, Budget::REQUEST, true), {});
  // The cheapest answer takes two joules: every second request runs.
  int accepted = 0;
  double spent = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!budget.Open()) continue;
    ++accepted;
    budget.Hold(2);
    budget.Settle(2, 2);
    spent += 2;
  }
  EXPECT_NEAR(accepted, 500, 1);
  EXPECT_LE(spent / 1000, 1.002);
  EXPECT_GT(budget.retry_after(), absl::ZeroDuration());
}

TEST(PricedBudgetTest, AHardHourIsNotExceededAndWhatWentOverComesOffTheNext) {
  FakeClock clock(absl::UnixEpoch());
  PricedBudget budget(clock, Joules(10, Budget::HOUR, true), {});
  int accepted = 0;
  for (int i = 0; i < 100; ++i) {
    clock.Advance(absl::Seconds(1));
    if (!budget.Open()) continue;
    ++accepted;
    budget.Hold(3);
    budget.Settle(3, 3);
  }
  EXPECT_EQ(accepted, 4);  // 9 leaves room for the start of a fourth
  EXPECT_EQ(budget.retry_after(), absl::Hours(1) - absl::Seconds(100));
  clock.Advance(absl::Hours(1));
  EXPECT_DOUBLE_EQ(budget.spent(), 2);
  EXPECT_DOUBLE_EQ(budget.remaining(), 8);
}

TEST(PricedBudgetTest, OnlyWhatIsCoveredIsHeld) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(2, Budget::REQUEST, true), {});
  ASSERT_TRUE(budget.Open());
  EXPECT_FALSE(budget.TryHold(2.5));
  EXPECT_TRUE(budget.TryHold(1.5));
  EXPECT_FALSE(budget.TryHold(1));
  EXPECT_DOUBLE_EQ(budget.Headroom(), 0.5);
  budget.GiveBack(1.5);
  budget.Forget();
  EXPECT_DOUBLE_EQ(budget.Headroom(), 0);
}

TEST(PricedBudgetTest, WithoutLearningThePriceStays) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(1.5, Budget::REQUEST, false),
                     {.learning = false, .start_price_per_joule = 0.01});
  for (uint64_t i = 0; i < 200; ++i) Serve(budget, Draw(i));
  EXPECT_DOUBLE_EQ(budget.price(), 0.01);
}

TEST(PricedBudgetTest, TheSameRequestsGetTheSamePrices) {
  FakeClock clock;
  PricedBudget a(clock, Joules(2, Budget::REQUEST, false), {});
  PricedBudget b(clock, Joules(2, Budget::REQUEST, false), {});
  for (uint64_t i = 0; i < 500; ++i) {
    Serve(a, Draw(i));
    Serve(b, Draw(i));
    ASSERT_EQ(a.price(), b.price()) << i;
  }
}

TEST(PricedBudgetTest, AChangedAmountMovesThePriceAtOnce) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(5, Budget::REQUEST, false), {});
  for (uint64_t i = 0; i < 600; ++i) Serve(budget, Draw(i));
  const double before = budget.price();
  budget.Change(Joules(1.5, Budget::REQUEST, false));
  EXPECT_GT(budget.price(), 1.5 * before);
  double spent = 0;
  for (uint64_t i = 0; i < 2000; ++i) spent += Serve(budget, Draw(i));
  EXPECT_LE(spent / 2000, 1.5 * (1 + 1e-9));
  EXPECT_GE(spent / 2000, 1.5 * 0.95);
}

TEST(PricedBudgetTest, AChangeKeepsWhatWasSpentInItsWindowOnly) {
  FakeClock clock(absl::UnixEpoch() + absl::Hours(10));
  PricedBudget budget(clock, Joules(100, Budget::HOUR, true), {.learning = false});
  ASSERT_TRUE(budget.Open());
  budget.Hold(80);
  budget.Settle(80, 80);
  budget.Change(Joules(90, Budget::HOUR, true));
  EXPECT_DOUBLE_EQ(budget.spent(), 80);
  clock.Advance(absl::Hours(1));
  budget.Change(Joules(70, Budget::HOUR, true));
  EXPECT_DOUBLE_EQ(budget.spent(), 0);
  EXPECT_DOUBLE_EQ(budget.remaining(), 70);
}

TEST(PricedBudgetTest, NothingLeaksWhenManyThreadsServe) {
  FakeClock clock;
  PricedBudget budget(clock, Joules(2, Budget::REQUEST, false), {});
  std::vector<std::thread> threads;
  std::vector<double> spent(4, 0);
  for (size_t t = 0; t < spent.size(); ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 500; ++i) {
        if (i % 5 == 0 && budget.Open()) {  // a request that never runs
          budget.Hold(1);
          budget.GiveBack(1);
          budget.Forget();
        }
        spent[t] += Serve(budget, Draw(i * 4 + t));
      }
    });
  }
  double sum = 0;
  for (size_t t = 0; t < spent.size(); ++t) {
    threads[t].join();
    sum += spent[t];
  }
  // 2,000 served requests brought 2 joules each; nothing is held any more. The depth was never
  // reached.
  EXPECT_NEAR(budget.remaining(), std::max(0.0, 2.0 * 2000 - sum), 1e-6);
}

}  // namespace
}  // namespace penstock::router
