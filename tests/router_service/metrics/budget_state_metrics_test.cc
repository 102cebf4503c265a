#include "router_service/metrics/budget_state_metrics.h"

#include <memory>

#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/router_service/metrics/metrics_fixture.h"

namespace penstock::router {
namespace {

using config::v1::Budget;
using ::testing::HasSubstr;
using ::testing::Not;

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

class CountingJournal final : public PacerJournal {
 public:
  void Record(std::shared_ptr<v1::PacerEvent>) override { ++events; }
  int events = 0;
};

class BudgetStateMetricsTest : public ::testing::Test {
 protected:
  void Set(const std::string& pool, const Budget& budget) {
    ASSERT_THAT(pacer_.SetBudget(pool, budget), IsOk());
  }
  void Update() { metrics_.Update(pacer_.Standings(clock_.Now())); }
  std::optional<double> Value(const std::string& series) const {
    return ValueOf(registry_, "penstock_router_budget_" + series);
  }
  // What remains by Standings is what GetBudget says.
  void ExpectAsListed(const std::string& pool, const std::string& tenant = "") {
    const std::vector<BudgetStanding> standings = pacer_.Standings(clock_.Now());
    for (const v1::BudgetStatus& listed : pacer_.List(pool, tenant)) {
      const auto standing =
          std::find_if(standings.begin(), standings.end(), [&](const BudgetStanding& each) {
            return each.pool == pool && each.tenant == tenant &&
                   each.resource == listed.budget().resource() && each.per == listed.budget().per();
          });
      ASSERT_NE(standing, standings.end());
      EXPECT_DOUBLE_EQ(standing->remaining, listed.remaining()) << listed.ShortDebugString();
      EXPECT_DOUBLE_EQ(standing->price, listed.price());
      EXPECT_DOUBLE_EQ(standing->limit, listed.budget().amount());
    }
  }
  void Spend(const std::string& pool, double joules) {
    auto reservation = pacer_.Open(pool, "acme");
    if (!reservation.ok() || !reservation->Hold(joules)) return;  // it is not covered
    reservation->Settle({joules});
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  MemoryWindowLedger ledger_;
  BudgetPacer pacer_{clock_, ledger_, {}};
  prometheus::Registry registry_;
  PoolLabels labels_;
  BudgetStateMetrics metrics_{registry_, labels_};
};

TEST_F(BudgetStateMetricsTest, TellsLimitAndWhatIsLeftWithoutAStore) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  Set("", Config(Budget::REQUESTS, 7, Budget::DAY, true, "acme"));
  Spend("pool", 40);
  Update();
  EXPECT_EQ(*Value(R"(limit{per="hour",pool="pool",resource="joules",tenant=""})"), 100);
  EXPECT_EQ(*Value(R"(remaining{per="hour",pool="pool",resource="joules",tenant=""})"), 60);
  EXPECT_EQ(*Value(R"(remaining{per="day",pool="",resource="requests",tenant="acme"})"), 6);
  EXPECT_EQ(*Value(R"(price{per="day",pool="",resource="requests",tenant="acme"})"), 0);
}

TEST_F(BudgetStateMetricsTest, EveryKindIsAsGetBudgetHasIt) {
  for (const Budget::Per per : {Budget::REQUEST, Budget::SECOND, Budget::HOUR, Budget::DAY}) {
    for (const Budget::Resource resource :
         {Budget::JOULES, Budget::DOLLARS, Budget::ACCELERATOR_SECONDS}) {
      Set("pool", Config(resource, 50, per, true));
      Set("soft", Config(resource, 50, per, false));
    }
    if (per != Budget::REQUEST) Set("pool", Config(Budget::REQUESTS, 50, per, true));
  }
  const auto expect_all = [&] {
    ExpectAsListed("pool");
    ExpectAsListed("soft");
  };
  expect_all();
  for (int i = 0; i < 3; ++i) {
    Spend("pool", 10);
    Spend("soft", 60);  // over what a window has
    expect_all();
    clock_.Advance(absl::Milliseconds(700));
    expect_all();
  }
  for (const absl::Duration pause : {absl::Hours(1), absl::Hours(30)}) {
    clock_.Advance(pause);  // windows that nobody has looked at since are over
    expect_all();
  }
}

TEST_F(BudgetStateMetricsTest, ThePriceIsWhatDecisionsPay) {
  Set("pool", Config(Budget::JOULES, 1, Budget::REQUEST, false));
  for (int i = 0; i < 32; ++i) {
    auto reservation = pacer_.Open("pool", "acme");
    ASSERT_THAT(reservation.status(), IsOk());
    const PricedOption options[] = {{0.8, 0.1}, {0.95, 2}};
    reservation->RecordDecision({}, options);
    ASSERT_TRUE(reservation->Hold(2));
    reservation->Settle({2});
  }
  Update();
  const double price = *Value(R"(price{per="request",pool="pool",resource="joules",tenant=""})");
  EXPECT_GT(price, 0);
  EXPECT_DOUBLE_EQ(price, pacer_.PricePerJoule("pool"));
}

TEST_F(BudgetStateMetricsTest, WhatIsRemovedVanishes) {
  Set("pool", Config(Budget::JOULES, 100, Budget::HOUR, true));
  Update();
  Set("pool", Config(Budget::JOULES, 0, Budget::HOUR, true));
  Update();
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("budget_limit{")));
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("budget_price{")));
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("budget_remaining{")));
}

TEST_F(BudgetStateMetricsTest, BudgetsBeyondTheCapWaitForAPlace) {
  for (size_t i = 0; i <= BudgetStateMetrics::kMostBudgets; ++i) {
    Set("pool", Config(Budget::REQUESTS, 1, Budget::HOUR, true, absl::StrCat("t", 1000 + i)));
  }
  Update();
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("\"t2000\"")));
  Set("pool", Config(Budget::REQUESTS, 0, Budget::HOUR, true, "t1500"));
  Update();
  EXPECT_THAT(TextOf(registry_), HasSubstr("\"t2000\""));
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("\"t1500\"")));
}

TEST_F(BudgetStateMetricsTest, BudgetsOfPoolsBeyondWhatIsToldAreLeftOut) {
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) labels_.Admit(absl::StrCat("before", i));
  Set("late", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  Set("", Config(Budget::REQUESTS, 1, Budget::HOUR, true));
  Update();
  EXPECT_THAT(TextOf(registry_), Not(HasSubstr("late")));
  EXPECT_EQ(*Value(R"(limit{per="hour",pool="",resource="requests",tenant=""})"), 1);
}

TEST_F(BudgetStateMetricsTest, LookingIsNothingForAJournal) {
  CountingJournal journal;
  BudgetPacer pacer(clock_, ledger_, {}, &journal);
  ASSERT_THAT(pacer.SetBudget("pool", Config(Budget::JOULES, 100, Budget::HOUR, true)), IsOk());
  const int before = journal.events;
  EXPECT_EQ(pacer.Standings(clock_.Now()).at(0).remaining, 100);
  EXPECT_EQ(journal.events, before);
}

}  // namespace
}  // namespace penstock::router
