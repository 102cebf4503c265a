// A budget with bound_tenants, as the pacer and a request's reservation see it.
#include <cmath>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using config::v1::Budget;
using testing::HasSubstr;

Budget Joules(double amount, Budget::Per per = Budget::REQUEST) {
  Budget budget;
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_bound_tenants(true);
  return budget;
}

class BoundTenantsTest : public testing::Test {
 protected:
  static BudgetPacer::Options Priced() {
    BudgetPacer::Options options;
    options.start_price_per_joule = 0.01;
    return options;
  }
  void Set(const Budget& budget) { ASSERT_THAT(pacer_.SetBudget("pool", budget), IsOk()); }
  void Ask(absl::string_view tenant, double energy_j, int times = 1) {
    for (int i = 0; i < times; ++i) {
      auto reservation = pacer_.Open("pool", tenant);
      ASSERT_THAT(reservation.status(), IsOk());
      reservation->Hold(energy_j);
      reservation->Settle({energy_j});
    }
  }
  double Multiplier(absl::string_view tenant) {
    return pacer_.Peek("pool", tenant).price_multiplier;
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  MemoryWindowLedger ledger_;
  BudgetPacer pacer_{clock_, ledger_, Priced()};
};

TEST_F(BoundTenantsTest, OnlyTheTenantThatTookMoreThanItsPartPaysMore) {
  Set(Joules(10));
  Ask("modest", 10);
  Ask("greedy", 301);  // 30.1 - 1.1 - 25 = 4 requests' worth of debt
  auto greedy = pacer_.Open("pool", "greedy");
  auto modest = pacer_.Open("pool", "modest");
  const double shared = pacer_.PricePerJoule("pool");
  EXPECT_NEAR(greedy->price_multiplier(), std::exp(0.5), 1e-12);
  EXPECT_NEAR(greedy->price_per_joule(), shared * std::exp(0.5), 1e-12);
  EXPECT_EQ(modest->price_multiplier(), 1);
  EXPECT_DOUBLE_EQ(modest->price_per_joule(), shared);
}

TEST_F(BoundTenantsTest, WhatExplainSaysIsWhatARequestPays) {
  Set(Joules(10));
  Ask("modest", 10);
  Ask("greedy", 301);  // 30.1 - 1.1 - 25 = 4 requests' worth of debt
  const BudgetPacer::Quote quote = pacer_.Peek("pool", "greedy");
  auto opened = pacer_.Open("pool", "greedy");
  EXPECT_DOUBLE_EQ(quote.price_per_joule, opened->price_per_joule());
  EXPECT_DOUBLE_EQ(quote.price_multiplier, opened->price_multiplier());
}

TEST_F(BoundTenantsTest, UnlessAskedForNobodyIsRepriced) {
  Budget budget = Joules(10);
  budget.set_bound_tenants(false);
  Set(budget);
  Ask("modest", 10);
  Ask("greedy", 1000);
  EXPECT_EQ(Multiplier("greedy"), 1);
}

TEST_F(BoundTenantsTest, TheOnlyTenantPaysWhatThePacerSays) {
  Set(Joules(10));
  Ask("only", 100, 50);
  EXPECT_EQ(Multiplier("only"), 1);
}

TEST_F(BoundTenantsTest, HoldsAndSettlementReachTheLedger) {
  Set(Joules(10));
  Ask("other", 10);
  Ask("p", 261);  // 25: the slack
  auto first = pacer_.Open("pool", "p");
  first->Hold(51);
  EXPECT_NEAR(Multiplier("p"), std::exp(0.5), 1e-12);
  first->Metered(52);  // half the hold more: 7.65 - 1.1
  EXPECT_NEAR(Multiplier("p"), std::exp(6.55 / 8), 1e-12);
  Reservation moved = *std::move(first);
  moved.Settle({51});
  moved.Settle({51});
  EXPECT_NEAR(Multiplier("p"), std::exp(0.5), 1e-12);
  {
    auto never_ran = pacer_.Open("pool", "p");
    never_ran->Hold(1000);
    EXPECT_GT(Multiplier("p"), 4);
  }
  EXPECT_NEAR(Multiplier("p"), std::exp(0.5), 1e-12);
}

TEST_F(BoundTenantsTest, WhoOwesTooMuchMayHaveNothingThatIsDear) {
  Set(Joules(10));
  Ask("modest", 5, 200);
  Ask("greedy", 10 * (1.1 + 25 + 12));
  const BudgetPacer::Quote quote = pacer_.Peek("pool", "greedy");
  auto greedy = pacer_.Open("pool", "greedy");
  EXPECT_DOUBLE_EQ(quote.headroom_j, 7.5);
  EXPECT_DOUBLE_EQ(greedy->headroom_j(), 7.5);
  EXPECT_NEAR(greedy->price_multiplier(), 4, 1e-12);
  EXPECT_GT(pacer_.Open("pool", "modest")->headroom_j(), 100);
}

TEST_F(BoundTenantsTest, WhoOnceOwedTooMuchIsHeldForNoAnswerThatMayTakeFarMore) {
  Set(Joules(10));
  Ask("modest", 5, 200);
  EXPECT_TRUE(std::isinf(pacer_.Peek("pool", "greedy").largest_j));
  Ask("greedy", 10 * (1.1 + 25 + 1));
  const double largest_j = 10 * (75 + 1.1 - 26);
  EXPECT_NEAR(pacer_.Peek("pool", "greedy").largest_j, largest_j, 1e-9);
  auto greedy = pacer_.Open("pool", "greedy");
  EXPECT_NEAR(greedy->terms().largest_j, largest_j, 1e-9);
  const double headroom_j = greedy->headroom_j();
  EXPECT_FALSE(greedy->TryHold(20, largest_j + 0.01));
  EXPECT_EQ(greedy->held_j(), 0);
  EXPECT_EQ(greedy->headroom_j(), headroom_j) << "the budget has it back";
  EXPECT_TRUE(greedy->TryHold(20, largest_j - 0.01));
  EXPECT_NEAR(greedy->terms().largest_j, largest_j - 11 - 9, 1e-9)
      << "of a second answer to the same request";
  EXPECT_NEAR(pacer_.Peek("pool", "greedy").largest_j, largest_j - 9, 1e-9);
  greedy->Metered(300);
  EXPECT_NEAR(pacer_.Peek("pool", "greedy").largest_j, largest_j - 289, 1e-9);
  greedy->Settle({20});
  EXPECT_NEAR(pacer_.Peek("pool", "greedy").largest_j, largest_j - 9, 1e-9);
  EXPECT_TRUE(std::isinf(pacer_.Open("pool", "modest")->terms().largest_j));
}

// Of a pool's and a platform's ledger the stricter one says no, and the other forgets.
TEST_F(BoundTenantsTest, TheStricterOfTwoBudgetsSaysWhatAnAnswerMayTake) {
  Set(Joules(10));
  ASSERT_THAT(pacer_.SetBudget("", Joules(20)), IsOk());
  Ask("modest", 5, 200);
  Ask("greedy", 20 * (1.1 + 25 + 1));  // 53.1 beyond 1.1 of the pool's, 26 of the platform's
  const double of_pool = 10 * (75 + 1.1 - 53.1);
  auto greedy = pacer_.Open("pool", "greedy");
  EXPECT_NEAR(greedy->terms().largest_j, of_pool, 1e-9);
  EXPECT_FALSE(greedy->TryHold(1, of_pool + 1));
  EXPECT_TRUE(greedy->TryHold(1, of_pool - 1));
  greedy->Settle({1});
  EXPECT_NEAR(pacer_.Open("pool", "greedy")->terms().largest_j, of_pool + 10, 1e-9);
}

TEST_F(BoundTenantsTest, WattsAreARequestsPartByTheRateOfArrivals) {
  Set(Joules(20, Budget::SECOND));
  for (int i = 0; i < 2000; ++i) {  // two a second: 10 J each
    Ask(i % 2 == 0 ? "modest" : "other", 10);
    clock_.Advance(absl::Milliseconds(500));
  }
  Ask("greedy", 10 * (1.1 + 25 + 2));
  EXPECT_NEAR(Multiplier("greedy"), std::exp(0.25), 0.03);
  EXPECT_EQ(Multiplier("modest"), 1);
}

TEST_F(BoundTenantsTest, AChangedAmountKeepsWhatTenantsOwe) {
  Set(Joules(10));
  Ask("other", 10);
  Ask("greedy", 301);  // 30.1 - 1.1 - 25 = 4 requests' worth of debt
  Set(Joules(20));
  EXPECT_NEAR(Multiplier("greedy"), std::exp(0.5), 1e-12);
  Budget off = Joules(20);
  off.set_bound_tenants(false);
  Set(off);
  EXPECT_EQ(Multiplier("greedy"), 1);
}

TEST_F(BoundTenantsTest, PricesThatAreNotLearntStayTheSameForAll) {
  BudgetPacer::Options options = Priced();
  options.learning = false;
  BudgetPacer pacer(clock_, ledger_, options);
  ASSERT_THAT(pacer.SetBudget("pool", Joules(10)), IsOk());
  for (const char* tenant : {"modest", "greedy", "greedy", "greedy"}) {
    auto reservation = pacer.Open("pool", tenant);
    reservation->Hold(1000);
    reservation->Settle({1000});
  }
  EXPECT_EQ(pacer.Peek("pool", "greedy").price_multiplier, 1);
}

// Half the requests are of a tenant that pays ten times the price (4 * 2.5), and the budget covers
// the dear option for half of all requests. At one price for all 10 J are worth the middle gain,
// .32. Greedy's gains count a tenth, so that modest's take nearly all that there is: at .058, 58 of
// 64 and 6 of greedy's.
TEST_F(BoundTenantsTest, TheLevelKnowsWhoPaysMore) {
  const auto price = [&](bool bound) {
    BudgetPacer pacer(clock_, ledger_, Priced());
    Budget budget = Joules(6);
    budget.set_bound_tenants(bound);
    EXPECT_THAT(pacer.SetBudget("pool", budget), IsOk());
    for (const auto& [tenant, joules] :
         {std::pair("modest", 6.0),
          std::pair("greedy", 6 * (1.1 + 25 + 100 + 20 * std::log(2.5)))}) {
      auto reservation = pacer.Open("pool", tenant);
      reservation->Hold(joules);
      reservation->Settle({joules});
    }
    for (int i = 0; i < 512; ++i) {
      for (const char* tenant : {"modest", "greedy"}) {
        auto reservation = pacer.Open("pool", tenant);
        const PricedOption options[] = {{0, 1}, {0.01 * (i % 64 + 1), 11}};
        reservation->RecordDecision(0, options);
      }
    }
    return pacer.PricePerJoule("pool");
  };
  // .058 / .32 = .18, and what the level has not yet moved.
  EXPECT_NEAR(price(true) / price(false), 0.18, 0.04);
}

TEST_F(BoundTenantsTest, RefusesBudgetsThatTenantsDoNotShare) {
  Budget budget = Joules(10);
  budget.set_tenant("acme");
  EXPECT_THAT(pacer_.SetBudget("pool", budget),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bound_tenants")));
  budget = Joules(10, Budget::HOUR);
  budget.set_resource(Budget::REQUESTS);
  EXPECT_THAT(pacer_.SetBudget("pool", budget),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("REQUESTS")));
}

}  // namespace
}  // namespace penstock::router
