#include "router_service/pacing/budget_pacer.h"

#include <limits>
#include <map>
#include <thread>
#include <utility>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

Budget Config(Budget::Resource resource, double amount, Budget::Per per, bool hard,
              const std::string& tenant = "") {
  Budget budget;
  budget.set_resource(resource);
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_hard(hard);
  budget.set_tenant(tenant);
  return budget;
}

class BudgetPacerTest : public testing::Test {
 protected:
  void Set(absl::string_view pool, const Budget& budget) {
    const absl::Status status = pacer_.SetBudget(pool, budget);
    ASSERT_TRUE(status.ok()) << status;
  }
  double Remaining(absl::string_view pool, absl::string_view tenant = "") {
    return pacer_.List(pool, tenant).at(0).remaining();
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  MemoryWindowLedger ledger_;
  BudgetPacer pacer_{clock_, ledger_, {}};
};

TEST_F(BudgetPacerTest, WithoutBudgetsNothingBinds) {
  auto reservation = pacer_.Open("pool", "acme");
  ASSERT_TRUE(reservation.ok());
  EXPECT_EQ(reservation->price_per_joule(), 0);
  EXPECT_EQ(reservation->headroom_j(), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(reservation->TryHold(1e9));
  reservation->Settle({1e9});
}

TEST_F(BudgetPacerTest, AnUnsettledReservationGivesEverythingBack) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  Set("pool", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  {
    auto reservation = pacer_.Open("pool", "");
    ASSERT_TRUE(reservation.ok());
    reservation->Hold(60);
    EXPECT_EQ(Remaining("pool"), 40);
    EXPECT_FALSE(pacer_.Open("pool", "").ok());  // the one request is taken
  }
  EXPECT_EQ(Remaining("pool"), 100);
  EXPECT_TRUE(pacer_.Open("pool", "").ok());
}

TEST_F(BudgetPacerTest, SettlingReplacesWhatWasHeldByWhatItTookOnce) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  auto reservation = pacer_.Open("pool", "");
  ASSERT_TRUE(reservation.ok());
  reservation->Hold(10);
  reservation->Settle({25});
  reservation->Settle({25});
  EXPECT_EQ(Remaining("pool"), 75);
  *reservation = Reservation();
  EXPECT_EQ(Remaining("pool"), 75);
}

TEST_F(BudgetPacerTest, AMovedReservationIsGivenBackOnce) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  auto opened = pacer_.Open("pool", "");
  ASSERT_TRUE(opened.ok());
  opened->Hold(30);
  {
    Reservation moved = *std::move(opened);
    EXPECT_EQ(moved.held_j(), 30);
    EXPECT_EQ(Remaining("pool"), 70);
  }
  EXPECT_EQ(Remaining("pool"), 100);
}

TEST_F(BudgetPacerTest, MeteredJoulesAddHalfTheFirstHoldAtATime) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  auto reservation = pacer_.Open("pool", "");
  ASSERT_TRUE(reservation.ok());
  reservation->Hold(10);
  reservation->Metered(9);
  EXPECT_EQ(reservation->held_j(), 10);
  reservation->Metered(11);
  EXPECT_EQ(reservation->held_j(), 15);
  reservation->Metered(26);
  EXPECT_EQ(reservation->held_j(), 30);
}

TEST_F(BudgetPacerTest, BudgetsOfPoolTenantAndPlatformAllBind) {
  Set("pool", Config(Budget::JOULES, 50, Budget::HOUR, true));
  Set("", Config(Budget::JOULES, 40, Budget::HOUR, true, "acme"));
  Set("", Config(Budget::JOULES, 200, Budget::HOUR, true));
  clock_.Advance(absl::Minutes(59));  // credit for all of it
  {
    auto reservation = pacer_.Open("pool", "acme");
    ASSERT_TRUE(reservation.ok());
    reservation->Hold(30);
    reservation->Settle({30});
  }
  EXPECT_EQ(Remaining("pool"), 20);
  EXPECT_EQ(Remaining("", "acme"), 10);
  EXPECT_EQ(Remaining(""), 170);
  // Another tenant, another pool: only the platform's.
  {
    auto reservation = pacer_.Open("other", "zenith");
    ASSERT_TRUE(reservation.ok());
    reservation->Hold(5);
    reservation->Settle({5});
  }
  EXPECT_EQ(Remaining("pool"), 20);
  EXPECT_EQ(Remaining(""), 165);
}

TEST_F(BudgetPacerTest, AHoldThatOneBudgetDoesNotCoverIsHeldNowhere) {
  Set("", Config(Budget::JOULES, 100, Budget::SECOND, true));
  Set("pool", Config(Budget::JOULES, 10, Budget::SECOND, true));
  auto reservation = pacer_.Open("pool", "");
  ASSERT_TRUE(reservation.ok());
  EXPECT_FALSE(reservation->TryHold(50));
  EXPECT_EQ(reservation->held_j(), 0);
  EXPECT_EQ(pacer_.Peek("other", "").headroom_j, 100);
}

TEST_F(BudgetPacerTest, PricesAddUp) {
  BudgetPacer frozen(clock_, ledger_, {.learning = false, .start_price_per_joule = 0.25});
  ASSERT_TRUE(frozen.SetBudget("pool", Config(Budget::JOULES, 1, Budget::REQUEST, false)).ok());
  ASSERT_TRUE(frozen.SetBudget("", Config(Budget::JOULES, 9, Budget::SECOND, false, "acme")).ok());
  EXPECT_EQ(frozen.Open("pool", "acme")->price_per_joule(), 0.5);
  EXPECT_EQ(frozen.Open("pool", "other")->price_per_joule(), 0.25);
  EXPECT_EQ(frozen.PricePerJoule("pool"), 0.25);
}

TEST_F(BudgetPacerTest, ASpentHardBudgetSaysWhenToComeBack) {
  Set("pool", Config(Budget::REQUESTS, 1, Budget::HOUR, true, "acme"));
  auto reservation = pacer_.Open("pool", "acme");
  ASSERT_TRUE(reservation.ok());
  reservation->Settle({});
  clock_.Advance(absl::Minutes(15));
  const auto refused = pacer_.Open("pool", "acme");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryAfter(refused.status()), absl::Minutes(45));
  EXPECT_EQ(RetryAfter(pacer_.Peek("pool", "acme").status), absl::Minutes(45));
  EXPECT_TRUE(pacer_.Open("pool", "other").ok());
}

TEST_F(BudgetPacerTest, ARefusalByOneBudgetCountsAtNoOther) {
  Set("", Config(Budget::REQUESTS, 10, Budget::HOUR, true));
  Set("pool", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  auto reservation = pacer_.Open("pool", "");
  ASSERT_TRUE(reservation.ok());
  EXPECT_FALSE(pacer_.Open("pool", "").ok());
  EXPECT_EQ(Remaining(""), 9);
}

TEST_F(BudgetPacerTest, ASpentSoftWindowLeavesTheCheapest) {
  Set("pool", Config(Budget::DOLLARS, 1, Budget::DAY, false));
  auto reservation = pacer_.Open("pool", "");
  ASSERT_TRUE(reservation.ok());
  EXPECT_GT(reservation->headroom_j(), 0);
  reservation->Settle({.energy_j = 1, .accelerator_seconds = 1, .dollars = 2});
  auto next = pacer_.Open("pool", "");
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->headroom_j(), 0);
  EXPECT_FALSE(next->TryHold(0.1));
}

TEST_F(BudgetPacerTest, BudgetsAreChangedAndRemovedAtRunTime) {
  Set("pool", Config(Budget::JOULES, 10, Budget::HOUR, true));
  Set("pool", Config(Budget::JOULES, 20, Budget::HOUR, true));
  ASSERT_EQ(pacer_.List("pool", "").size(), 1u);
  EXPECT_EQ(Remaining("pool"), 20);
  auto running = pacer_.Open("pool", "");
  ASSERT_TRUE(running.ok());
  running->Hold(5);
  Set("pool", Config(Budget::JOULES, 0, Budget::HOUR, true));
  EXPECT_TRUE(pacer_.List("pool", "").empty());
  running->Settle({5});  // against the removed one
  EXPECT_EQ(pacer_.Peek("pool", "").headroom_j, std::numeric_limits<double>::infinity());
}

// Which budgets bind: as of a pacer that knew no others.
TEST_F(BudgetPacerTest, WhateverCameAndWentWhatBindsIsAsIfBuiltAnew) {
  const std::vector<std::string> pools = {"", "a", "b", "none"};
  const std::vector<std::string> tenants = {"", "t", "u", "v", "none"};
  for (uint64_t seed = 0; seed < 12; ++seed) {
    CounterRandom random(17, seed);
    MemoryWindowLedger windows;
    // Every budget that binds adds as much to the price.
    const PacingOptions options{.learning = false, .start_price_per_joule = 0.25};
    BudgetPacer changed(clock_, windows, options);
    std::map<std::pair<std::string, std::string>, std::map<std::pair<int, int>, Budget>> budgets;
    for (int step = 0; step < 150; ++step) {
      const std::string& pool = pools[random.Below(3)];
      Budget budget = Config(static_cast<Budget::Resource>(random.Below(4)), 0,
                             static_cast<Budget::Per>(random.Below(4)), random.Below(2) == 0,
                             tenants[random.Below(4)]);
      if (budget.resource() == Budget::REQUESTS && budget.per() == Budget::REQUEST) continue;
      // Removed more often than set in one part of the steps, so that pools come and go.
      const bool removes = random.Below(10) < (step / 30 % 2 == 0 ? 2u : 8u);
      auto& of_names = budgets[{pool, budget.tenant()}];
      if (removes) {
        of_names.erase({budget.resource(), budget.per()});
      } else {
        budget.set_amount(1 + static_cast<double>(random.Below(1000)));
        of_names[{budget.resource(), budget.per()}] = budget;
      }
      ASSERT_TRUE(changed.SetBudget(pool, budget).ok());
      MemoryWindowLedger other_windows;
      BudgetPacer anew(clock_, other_windows, options);
      for (const auto& [names, of] : budgets) {
        for (const auto& [kind, kept] : of) ASSERT_TRUE(anew.SetBudget(names.first, kept).ok());
      }
      for (const std::string& of_pool : pools) {
        for (const std::string& tenant : tenants) {
          const BudgetPacer::Quote quote = changed.Peek(of_pool, tenant);
          const BudgetPacer::Quote wanted = anew.Peek(of_pool, tenant);
          EXPECT_EQ(quote.price_per_joule, wanted.price_per_joule);
          EXPECT_EQ(quote.headroom_j, wanted.headroom_j);
          for (const Resource resource : kOtherResources) {
            EXPECT_EQ(quote.others[resource].price, wanted.others[resource].price);
            EXPECT_EQ(quote.others[resource].headroom, wanted.others[resource].headroom);
          }
        }
      }
    }
  }
}

TEST_F(BudgetPacerTest, RefusesBudgetsThatMeanNothing) {
  EXPECT_EQ(pacer_.SetBudget("", Config(Budget::JOULES, -1, Budget::HOUR, true)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pacer_.SetBudget("", Config(Budget::REQUESTS, 1, Budget::REQUEST, true)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pacer_
                .SetBudget("", Config(Budget::JOULES, std::numeric_limits<double>::quiet_NaN(),
                                      Budget::HOUR, true))
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(BudgetPacerTest, PeekingCountsNothing) {
  Set("pool", Config(Budget::JOULES, 2, Budget::REQUEST, true));
  for (int i = 0; i < 5; ++i) {
    const BudgetPacer::Quote quote = pacer_.Peek("pool", "");
    EXPECT_TRUE(quote.status.ok());
    EXPECT_EQ(quote.headroom_j, 2);
  }
  EXPECT_EQ(Remaining("pool"), 0);
}

TEST_F(BudgetPacerTest, StatusTellsTheMeanOfTheLastRequests) {
  Set("pool", Config(Budget::JOULES, 4, Budget::REQUEST, false));
  for (const double energy : {1.0, 2.0, 6.0}) {
    auto reservation = pacer_.Open("pool", "");
    ASSERT_TRUE(reservation.ok());
    reservation->Hold(energy);
    reservation->Settle({energy});
  }
  EXPECT_DOUBLE_EQ(pacer_.List("pool", "").at(0).spent(), 3);
  EXPECT_DOUBLE_EQ(Remaining("pool"), 3);
}

TEST_F(BudgetPacerTest, ReservationsOfManyThreadsAreConserved) {
  Set("pool", Config(Budget::JOULES, 1e6, Budget::DAY, true));
  Set("", Config(Budget::REQUESTS, 1e6, Budget::DAY, true));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        auto reservation = pacer_.Open("pool", "");
        if (!reservation.ok()) continue;
        reservation->Hold(2);
        const PricedOption options[] = {{0.5, 1}, {0.6, 2}};
        reservation->RecordDecision(0, options);
        if (i % 3 == 0) reservation->TryHold(4);
        if (i % 2 == 0) reservation->Settle({3});
        if (i % 50 == 0) pacer_.SetIdleWatts("pool", i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_DOUBLE_EQ(Remaining("pool"), 1e6 - 4 * 150 * 3);
  EXPECT_DOUBLE_EQ(Remaining(""), 1e6 - 4 * 150);
}

}  // namespace
}  // namespace penstock::router
