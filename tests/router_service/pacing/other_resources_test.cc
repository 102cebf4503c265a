// Budgets of dollars and accelerator seconds have the prices that those of joules have.
#include <limits>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

Budget Of(Budget::Resource resource, double amount, Budget::Per per, bool hard = false) {
  Budget budget;
  budget.set_resource(resource);
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_hard(hard);
  return budget;
}

// A cheap expert and a dear one, by amounts of one resource.
struct Pair {
  Amounts cheap, dear;
};

PricedOption Option(double worth, const Amounts& amounts) {
  return {worth, amounts.energy_j, amounts.accelerator_seconds, amounts.dollars};
}

double Net(const PricedOption& option, const BudgetTerms& terms) {
  return option.quality - terms.price_per_joule * option.energy_j -
         terms.others.PriceOf(option.amounts());
}

struct Served {
  Amounts spent;
  std::vector<double> price;  // at each request, of `resource`
  double worth = 0;
};

// Requests whose gain by the dear expert is drawn from [0, .4]; each takes `bias` times what was
// expected.
Served Serve(BudgetPacer& pacer, const Pair& pair, Resource resource, int requests,
             double bias = 1) {
  Served served;
  for (int i = 0; i < requests; ++i) {
    CounterRandom random(7, static_cast<uint64_t>(i));
    auto opened = pacer.Open("pool", "");
    if (!opened.ok()) {
      ADD_FAILURE() << opened.status();
      return served;
    }
    const BudgetTerms terms = opened->terms();
    const PricedOption options[] = {Option(0.5, pair.cheap),
                                    Option(0.5 + 0.4 * random.Uniform(), pair.dear)};
    const bool dearer = Net(options[1], terms) > Net(options[0], terms) &&
                        opened->TryHold(options[1].amounts());
    const PricedOption& taken = options[dearer ? 1 : 0];
    if (!dearer) opened->Hold(taken.amounts());
    opened->RecordDecision(0, options);
    const Amounts used = {taken.energy_j * bias, taken.accelerator_seconds * bias,
                          taken.dollars * bias};
    opened->Settle(used);
    served.spent += used;
    served.worth += taken.quality;
    served.price.push_back(resource == Resource::kJoules ? terms.price_per_joule
                                                         : terms.others[resource].price);
  }
  return served;
}

class OtherResourcesTest : public testing::TestWithParam<Resource> {
 protected:
  void Set(const Budget& budget) {
    const absl::Status status = pacer_.SetBudget("pool", budget);
    ASSERT_TRUE(status.ok()) << status;
  }
  // An amount of the tested resource alone.
  static Amounts Only(double amount) {
    Amounts amounts;
    amounts[GetParam()] = amount;
    return amounts;
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  MemoryWindowLedger ledger_;
  BudgetPacer pacer_{clock_, ledger_, {}};
};

TEST_P(OtherResourcesTest, AMeanPerRequestIsMet) {
  constexpr int kRequests = 4000;
  for (const bool hard : {false, true}) {
    for (const double amount : {0.002, 0.004, 0.007}) {
      MemoryWindowLedger ledger;
      BudgetPacer pacer(clock_, ledger, {});
      ASSERT_TRUE(
          pacer.SetBudget("pool", Of(ConfigOf(GetParam()), amount, Budget::REQUEST, hard)).ok());
      const Served served = Serve(pacer, {Only(0.001), Only(0.010)}, GetParam(), kRequests);
      const double mean = served.spent[GetParam()] / kRequests;
      EXPECT_LE(mean, amount * (1 + 1e-9)) << amount << hard;
      EXPECT_GE(mean, amount * 0.975) << amount << hard;
    }
  }
}

// The gains are uniform in [0, .4]: under a price p per unit the dear one is worth its .009 more
// from a gain of .009 p on. A mean of .004 = .001 + .009 / 3 wants a third of the requests:
// p = .8 / .027.
TEST_P(OtherResourcesTest, ThePriceIsTheOneThatTheGainsAskFor) {
  Set(Of(ConfigOf(GetParam()), 0.004, Budget::REQUEST));
  const Served served = Serve(pacer_, {Only(0.001), Only(0.010)}, GetParam(), 4000);
  double mean = 0;
  for (size_t i = 2000; i < served.price.size(); ++i) mean += served.price[i] / 2000;
  EXPECT_NEAR(mean, 0.8 / 0.027, 0.1 * 0.8 / 0.027);
}

TEST_P(OtherResourcesTest, TheSameNumbersHaveThePricesOfJoules) {
  Set(Of(ConfigOf(GetParam()), 0.004, Budget::REQUEST));
  MemoryWindowLedger ledger;
  BudgetPacer joules(clock_, ledger, {});
  ASSERT_TRUE(joules.SetBudget("pool", Of(Budget::JOULES, 0.004, Budget::REQUEST)).ok());
  const Served of_joules = Serve(joules, {{0.001, 0, 0}, {0.010, 0, 0}}, Resource::kJoules, 1000);
  const Served other = Serve(pacer_, {Only(0.001), Only(0.010)}, GetParam(), 1000);
  EXPECT_EQ(other.price, of_joules.price);
  EXPECT_EQ(other.spent[GetParam()], of_joules.spent.energy_j);
}

TEST_P(OtherResourcesTest, AmountsThatWereExpectedTooSmallAreMadeUpFor) {
  Set(Of(ConfigOf(GetParam()), 0.006, Budget::REQUEST));
  const Served served = Serve(pacer_, {Only(0.001), Only(0.010)}, GetParam(), 4000, 1.5);
  EXPECT_NEAR(served.spent[GetParam()] / 4000, 0.006, 0.05 * 0.006);
}

TEST_P(OtherResourcesTest, ABudgetBesideJoulesBindsTogetherWithThem) {
  Set(Of(Budget::JOULES, 3, Budget::REQUEST));
  Set(Of(ConfigOf(GetParam()), 0.004, Budget::REQUEST));
  Pair pair{Only(0.001), Only(0.010)};
  pair.cheap.energy_j = 1;
  pair.dear.energy_j = 5;  // a half of the requests: the other budget's third binds
  const Served served = Serve(pacer_, pair, GetParam(), 4000);
  EXPECT_LE(served.spent[GetParam()] / 4000, 0.004 * (1 + 1e-9));
  EXPECT_GE(served.spent[GetParam()] / 4000, 0.004 * 0.95);
  EXPECT_LE(served.spent.energy_j / 4000, 3 * (1 + 1e-9));
}

TEST_P(OtherResourcesTest, WhatTakesNothingOfItIsNeverShortOfIt) {
  Set(Of(ConfigOf(GetParam()), 1, Budget::REQUEST));
  auto first = pacer_.Open("pool", "");
  ASSERT_TRUE(first.ok());
  first->Hold(Only(50));
  EXPECT_FALSE(first->TryHold(Only(1)));
  EXPECT_TRUE(first->TryHold(Amounts{10, 0, 0}));
  EXPECT_EQ(first->headroom_j(), std::numeric_limits<double>::infinity());
}

TEST_P(OtherResourcesTest, AWindowIsCountedAndPriced) {
  Set(Of(ConfigOf(GetParam()), 36, Budget::HOUR));  // .01 a second
  for (int i = 0; i < 3000; ++i) {
    clock_.Advance(absl::Seconds(1));
    CounterRandom random(9, static_cast<uint64_t>(i));
    auto opened = pacer_.Open("pool", "");
    ASSERT_TRUE(opened.ok());
    const BudgetTerms terms = opened->terms();
    const PricedOption options[] = {Option(0.5, Only(0.005)),
                                    Option(0.5 + 0.4 * random.Uniform(), Only(0.03))};
    const bool dearer =
        Net(options[1], terms) > Net(options[0], terms) && opened->TryHold(options[1].amounts());
    if (!dearer) opened->Hold(options[0].amounts());
    opened->RecordDecision(0, options);
    opened->Settle(options[dearer ? 1 : 0].amounts());
  }
  const auto status = pacer_.List("pool", "").at(0);
  EXPECT_GT(status.price(), 0);
  EXPECT_NEAR(status.spent(), 0.01 * 3000, 0.1 * 0.01 * 3000);
}

TEST_P(OtherResourcesTest, ATenantsBudgetIsNoOtherTenantsPrice) {
  Budget of_tenant = Of(ConfigOf(GetParam()), 1, Budget::REQUEST);
  of_tenant.set_tenant("acme");
  Set(of_tenant);
  EXPECT_TRUE(pacer_.Open("pool", "acme")->terms().others.bind());
  EXPECT_FALSE(pacer_.Open("pool", "zeta")->terms().others.bind());
  EXPECT_TRUE(pacer_.Peek("pool", "acme").others.bind());
}

TEST_P(OtherResourcesTest, WithoutLearningThereIsNoPrice) {
  MemoryWindowLedger ledger;
  BudgetPacer pacer(clock_, ledger, {.learning = false, .start_price_per_joule = 3});
  ASSERT_TRUE(pacer.SetBudget("pool", Of(ConfigOf(GetParam()), 1, Budget::REQUEST)).ok());
  EXPECT_FALSE(pacer.Open("pool", "")->terms().others.bind());
}

INSTANTIATE_TEST_SUITE_P(Resources, OtherResourcesTest,
                         testing::Values(Resource::kDollars, Resource::kAcceleratorSeconds),
                         [](const auto& of) {
                           return of.param == Resource::kDollars ? "Dollars" : "AcceleratorSeconds";
                         });

}  // namespace
}  // namespace penstock::router
