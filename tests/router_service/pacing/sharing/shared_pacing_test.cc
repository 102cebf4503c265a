#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/random.h"
#include "common/store/memory_store.h"
#include "gtest/gtest.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "router_service/pacing/sharing/demand_exchange.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

Budget Of(double amount, Budget::Per per, bool hard, Budget::Resource resource = Budget::JOULES) {
  Budget budget;
  budget.set_resource(resource);
  budget.set_amount(amount);
  budget.set_per(per);
  budget.set_hard(hard);
  return budget;
}

// Goes away, and comes back with what it had.
class AwayStore final : public Store {
 public:
  explicit AwayStore(const Clock& clock) : store_(clock) {}

  void RaiseTotals(absl::string_view name, int64_t window, absl::Span<const StoreField> totals,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override {
    if (away) return done(absl::UnavailableError("away"));
    store_.RaiseTotals(name, window, totals, ttl, deadline, std::move(done));
  }
  void ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                  Done<StoreFields> done) override {
    if (away) return done(absl::UnavailableError("away"));
    store_.ReadTotals(name, window, deadline, std::move(done));
  }
  StoreState state() const override { return store_.state(); }

  // Not for demands.
  void Get(absl::string_view, absl::Time, Done<std::optional<std::string>>) override { Refuse(); }
  void Put(absl::string_view, absl::string_view, absl::Duration, absl::Time, DoneStatus) override {
    Refuse();
  }
  void Erase(absl::string_view, absl::Time, DoneStatus) override { Refuse(); }
  void AddCounters(absl::string_view, int64_t, absl::Span<const StoreField>, absl::Duration,
                   absl::Time, DoneStatus) override {
    Refuse();
  }
  void ReadCounters(absl::string_view, int64_t, absl::Time, Done<StoreFields>) override {
    Refuse();
  }
  void AcquireLease(absl::string_view, absl::string_view, absl::Duration, absl::Time,
                    Done<LeaseHolder>) override {
    Refuse();
  }
  void RenewLease(absl::string_view, absl::string_view, absl::Duration, absl::Time,
                  Done<LeaseHolder>) override {
    Refuse();
  }
  void ReleaseLease(absl::string_view, absl::string_view, absl::Time, DoneStatus) override {
    Refuse();
  }
  void TakeBudget(const BudgetTake&, absl::Time, Done<BudgetGrant>) override { Refuse(); }
  void Publish(absl::string_view, absl::string_view, absl::Time, DoneStatus) override { Refuse(); }
  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view, absl::AnyInvocable<void()>,
      absl::AnyInvocable<void(absl::string_view)>) override {
    return absl::UnimplementedError("");
  }

  bool away = false;

 private:
  static void Refuse() { ADD_FAILURE() << "the exchange asked for what it needs not"; }

  MemoryStore store_;
};

// Options of 1, 3 and 8 joules, the dearer the better.
std::vector<PricedOption> Draw(uint64_t i) {
  CounterRandom random(11, i);
  const double base = 0.4 + 0.2 * random.Uniform();
  return {{base, 1}, {base + 0.2 * random.Uniform(), 3}, {base + 0.4 * random.Uniform(), 8}};
}

// Routers that keep one budget through one store.
class SharedPacingTest : public testing::Test {
 protected:
  struct Router {
    std::unique_ptr<BudgetPacer> pacer;
    std::shared_ptr<DemandExchange> exchange;
    double spent = 0;
    double price_sum = 0;
    int requests = 0;
    int refused = 0;
    double MeanPrice() const { return price_sum / requests; }
  };

  Router& Join(const Budget& budget) {
    auto router = std::make_unique<Router>();
    router->pacer = std::make_unique<BudgetPacer>(clock_, ledger_, PacingOptions());
    EXPECT_TRUE(router->pacer->SetBudget("pool", budget).ok());
    router->exchange = std::make_shared<DemandExchange>(*router->pacer, store_, timers_, clock_,
                                                        "router" + std::to_string(joined_++));
    router->exchange->Start();
    routers_.push_back(std::move(router));
    return *routers_.back();
  }
  // With a budget for each of so many tenants.
  Router& Join(const Budget& budget, int tenants) {
    Router& router = Join(budget);
    for (int tenant = 0; tenant < tenants; ++tenant) {
      Budget of_tenant = budget;
      of_tenant.set_tenant(Tenant(tenant));
      EXPECT_TRUE(router.pacer->SetBudget("pool", of_tenant).ok());
    }
    return router;
  }
  static std::string Tenant(int tenant) { return "tenant" + std::to_string(tenant); }
  double Share(size_t router, const std::string& tenant = "") {
    return routers_[router]->pacer->List("pool", tenant).at(0).share();
  }
  void Kill(size_t router) {
    routers_[router]->exchange->Stop();
    routers_[router]->exchange = nullptr;
    routers_[router]->pacer = nullptr;
  }

  // One request, which takes the best that price and headroom leave, at once.
  void Serve(Router& router, const std::vector<PricedOption>& options) {
    ++router.requests;
    auto opened = router.pacer->Open("pool", "");
    if (!opened.ok()) {
      ++router.refused;
      return;
    }
    const double price = opened->price_per_joule();
    const PricedOption* best = &options[0];
    for (const PricedOption& option : options) {
      if (option.energy_j > opened->headroom_j()) continue;
      if (option.quality - price * option.energy_j > best->quality - price * best->energy_j) {
        best = &option;
      }
    }
    opened->Hold(best->energy_j);
    opened->RecordDecision(0, options);
    opened->Settle({best->energy_j});
    router.spent += best->energy_j;
    router.price_sum += price;
    spent_ += best->energy_j;
  }

  // Requests of the whole platform, spread by weight.
  void Run(int requests, absl::Duration apart, const std::vector<double>& weights) {
    double all = 0;
    for (const double weight : weights) all += weight;
    for (int i = 0; i < requests; ++i) {
      timers_.AdvanceAndRun(apart);
      double at = CounterRandom(3, ++drawn_).Uniform() * all;
      size_t to = 0;
      while (at >= weights[to]) at -= weights[to++];
      Serve(*routers_[to], Draw(drawn_));
    }
  }
  double Watts(absl::Time since) const {
    return spent_ / absl::ToDoubleSeconds(clock_.Now() - since);
  }
  void ForgetPrices() {
    for (const auto& router : routers_) router->price_sum = router->requests = 0;
  }

  FakeClock clock_{absl::UnixEpoch() + absl::Hours(10)};
  FakeTimers timers_{clock_};
  AwayStore store_{clock_};
  MemoryWindowLedger ledger_;
  std::vector<std::unique_ptr<Router>> routers_;
  double spent_ = 0;
  uint64_t drawn_ = 0;
  int joined_ = 0;  // of all routers so far: no two have one name
};

// 20 requests a second that would take 120 W.
constexpr absl::Duration kApart = absl::Milliseconds(50);

TEST_F(SharedPacingTest, ManyRoutersSpendWhatOneAloneDoes) {
  for (const bool hard : {false, true}) {
    double alone = 0;
    for (const std::vector<double>& weights :
         {std::vector<double>{1}, {1, 1}, {1, 1, 1, 1}, {60, 25, 10, 5}, {1, 0, 0, 0}}) {
      routers_.clear();
      spent_ = 0;
      for (size_t i = 0; i < weights.size(); ++i) Join(Of(50, Budget::SECOND, hard));
      const absl::Time start = clock_.Now();
      Run(20'000, kApart, weights);
      if (weights.size() == 1) {
        alone = Watts(start);
        EXPECT_LE(alone, 50.1) << hard;
        EXPECT_GE(alone, 48) << hard;
      }
      EXPECT_NEAR(Watts(start), alone, 0.002 * alone) << weights.size() << hard;
    }
  }
}

TEST_F(SharedPacingTest, PricesAreTheSameHoweverRequestsAreSpread) {
  for (const bool hard : {false, true}) {
    routers_.clear();
    for (int i = 0; i < 4; ++i) Join(Of(50, Budget::SECOND, hard));
    Run(20'000, kApart, {60, 25, 10, 5});
    ForgetPrices();
    Run(20'000, kApart, {60, 25, 10, 5});
    const double price = routers_[0]->MeanPrice();
    EXPECT_GT(price, 0.01);
    for (const auto& router : routers_) {
      EXPECT_NEAR(router->MeanPrice(), price, 0.05 * price) << hard;
    }
  }
}

TEST_F(SharedPacingTest, OneDiesAndOneJoins) {
  for (const bool hard : {false, true}) {
    routers_.clear();
    spent_ = 0;
    for (int i = 0; i < 3; ++i) Join(Of(50, Budget::SECOND, hard));
    const absl::Time start = clock_.Now();
    Run(8000, kApart, {1, 1, 1});
    Kill(1);
    Run(8000, kApart, {1, 0, 1});
    Join(Of(50, Budget::SECOND, hard));
    Run(1000, kApart, {1, 0, 1, 1});
    ForgetPrices();
    Run(3000, kApart, {1, 0, 1, 1});
    EXPECT_LE(Watts(start), 50.1) << hard;
    EXPECT_GE(Watts(start), 48) << hard;
    const double price = routers_[0]->MeanPrice();
    EXPECT_NEAR(routers_[3]->MeanPrice(), price, 0.05 * price) << hard;
  }
}

TEST_F(SharedPacingTest, TrafficMovesToAndFro) {
  for (const bool hard : {false, true}) {
    routers_.clear();
    spent_ = 0;
    for (int i = 0; i < 2; ++i) Join(Of(50, Budget::SECOND, hard));
    const absl::Time start = clock_.Now();
    double most = 0;
    for (int turn = 0; turn < 40; ++turn) {
      Run(600, kApart, turn % 2 == 0 ? std::vector<double>{1, 0} : std::vector<double>{0, 1});
      const double allowed = 50 * absl::ToDoubleSeconds(clock_.Now() - start);
      most = std::max(most, spent_ - allowed);
    }
    EXPECT_LE(Watts(start), 50.1) << hard;
    EXPECT_GE(Watts(start), 48) << hard;
    if (hard) {
      EXPECT_LE(most, 50 + 2 * 8);  // the first second's credit, and a request each
    }
  }
}

TEST_F(SharedPacingTest, ARouterThatWasIdleHasNoHoardOfItsOwn) {
  for (int i = 0; i < 2; ++i) Join(Of(50, Budget::SECOND, true));
  const absl::Time start = clock_.Now();
  Run(24'000, kApart, {1, 0});
  Run(1200, kApart, {0, 1});
  EXPECT_LE(spent_, 50 * absl::ToDoubleSeconds(clock_.Now() - start) + 50 + 2 * 8);
}

TEST_F(SharedPacingTest, WithoutTheStoreTheLastSharesStay) {
  for (const bool hard : {false, true}) {
    routers_.clear();
    for (int i = 0; i < 3; ++i) Join(Of(50, Budget::SECOND, hard));
    Run(12'000, kApart, {2, 1, 1});
    store_.away = true;
    const double before = spent_;
    Run(12'000, kApart, {2, 1, 1});
    EXPECT_NEAR((spent_ - before) / 600, 50, 2.5) << hard;
    store_.away = false;
    timers_.AdvanceAndRun(absl::Seconds(1));
  }
}

TEST_F(SharedPacingTest, WhatWasSpentWithoutTheStoreIsSettledWhenItIsBack) {
  for (const bool hard : {false, true}) {
    routers_.clear();
    spent_ = 0;
    for (int i = 0; i < 2; ++i) Join(Of(50, Budget::SECOND, hard));
    const absl::Time start = clock_.Now();
    Run(6000, kApart, {1, 1});
    // Longer than the credit of a quiet time lasts, and with other requests than the shares are
    // for.
    store_.away = true;
    Run(30'000, kApart, {4, 1});
    store_.away = false;
    const double before = spent_;
    const absl::Time back = clock_.Now();
    Run(12'000, kApart, {1, 1});
    EXPECT_NEAR((spent_ - before) / absl::ToDoubleSeconds(clock_.Now() - back), 50, 10) << hard;
    EXPECT_LE(Watts(start), 50.1) << hard;
  }
}

TEST_F(SharedPacingTest, AHardHourIsNotExceeded) {
  for (int i = 0; i < 4; ++i) Join(Of(6000, Budget::HOUR, true));
  const absl::Time end = clock_.Now() + absl::Hours(1);
  int refused = 0;
  while (clock_.Now() < end) Run(20, kApart, {60, 25, 10, 5});
  for (const auto& router : routers_) refused += router->refused;
  EXPECT_GT(refused, 0);
  EXPECT_LE(spent_, 6000 + 4 * 8);
  EXPECT_GE(spent_, 0.97 * 6000);
}

TEST_F(SharedPacingTest, AMeanPerRequestNeedsNoSharing) {
  for (int i = 0; i < 2; ++i) Join(Of(3, Budget::REQUEST, false));
  Run(8000, kApart, {3, 1});
  EXPECT_NEAR(spent_ / 8000, 3, 0.1);
  EXPECT_EQ(routers_[0]->pacer->List("pool", "").at(0).share(), 1);
  EXPECT_EQ(store_.state().calls, 0);
}

TEST_F(SharedPacingTest, MoreBudgetsThanOneRoundTakesAllHaveTheirTurn) {
  for (int i = 0; i < 2; ++i) Join(Of(50, Budget::HOUR, false), 150);
  timers_.AdvanceAndRun(absl::Seconds(1));
  for (int tenant = 0; tenant < 150; ++tenant) EXPECT_LT(Share(0, Tenant(tenant)), 1) << tenant;
}

TEST_F(SharedPacingTest, OfManyBudgetsTheDeadFallOutToo) {
  constexpr int kTenants = 699;  // a round takes more than a second
  for (int i = 0; i < 3; ++i) Join(Of(50, Budget::HOUR, false), kTenants);
  timers_.AdvanceAndRun(absl::Seconds(10));
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(Share(i, Tenant(tenant)), 1.0 / 3, 0.01);
  }
  Kill(1);
  timers_.AdvanceAndRun(absl::Seconds(15));
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    EXPECT_NEAR(Share(0, Tenant(tenant)) + Share(2, Tenant(tenant)), 1, 0.02) << tenant;
  }
  // The store's silence is still nobody's death.
  store_.away = true;
  timers_.AdvanceAndRun(absl::Minutes(1));
  store_.away = false;
  timers_.AdvanceAndRun(absl::Seconds(3));
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    EXPECT_NEAR(Share(0, Tenant(tenant)) + Share(2, Tenant(tenant)), 1, 0.02) << tenant;
  }
  Kill(2);
  timers_.AdvanceAndRun(absl::Seconds(8));
  for (int tenant = 0; tenant < kTenants; ++tenant) EXPECT_EQ(Share(0, Tenant(tenant)), 1);
}

TEST_F(SharedPacingTest, WhatABudgetThatWasSetAgainSpendsIsHeardAtOnce) {
  const Budget budget = Of(36'000, Budget::HOUR, false);
  Budget none = budget;
  none.set_amount(0);
  for (int i = 0; i < 2; ++i) Join(budget);
  for (const absl::Duration away : {absl::ZeroDuration(), absl::Seconds(3), absl::Minutes(2)}) {
    Run(200, kApart, {1, 0});
    timers_.AdvanceAndRun(absl::Seconds(1));
    ASSERT_TRUE(routers_[0]->pacer->SetBudget("pool", none).ok());
    timers_.AdvanceAndRun(away);
    ASSERT_TRUE(routers_[0]->pacer->SetBudget("pool", budget).ok());
    const double heard = routers_[1]->pacer->List("pool", "").at(0).spent();
    const double spent = spent_;
    Run(20, kApart, {1, 0});
    ASSERT_GT(spent_, spent);
    timers_.AdvanceAndRun(absl::Seconds(1));
    EXPECT_NEAR(routers_[1]->pacer->List("pool", "").at(0).spent() - heard, spent_ - spent, 1e-3)
        << away;
    EXPECT_LT(Share(0), 1) << away;
    timers_.AdvanceAndRun(absl::Seconds(5));
    EXPECT_NEAR(Share(0) + Share(1), 1, 0.02) << away;
  }
}

TEST_F(SharedPacingTest, AnotherAmountIsNoOtherBudget) {
  for (int i = 0; i < 2; ++i) Join(Of(36'000, Budget::HOUR, false));
  Run(200, kApart, {1, 1});
  for (const auto& router : routers_) {
    ASSERT_TRUE(router->pacer->SetBudget("pool", Of(18'000, Budget::HOUR, false)).ok());
  }
  Run(200, kApart, {1, 1});
  timers_.AdvanceAndRun(absl::Seconds(1));
  for (const auto& router : routers_) {
    EXPECT_NEAR(router->pacer->List("pool", "").at(0).spent(), spent_, 1e-3);
  }
}

TEST_F(SharedPacingTest, HasHeardOnceTheStoreAnswered) {
  store_.away = true;
  Join(Of(50, Budget::SECOND, false));
  EXPECT_FALSE(routers_[0]->exchange->heard());
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_FALSE(routers_[0]->exchange->heard());
  store_.away = false;
  timers_.AdvanceAndRun(absl::Seconds(1));
  EXPECT_TRUE(routers_[0]->exchange->heard());
}

TEST_F(SharedPacingTest, AfterStopNothingIsTold) {
  Join(Of(50, Budget::SECOND, false));
  routers_[0]->exchange->Stop();
  const int64_t calls = store_.state().calls;
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_EQ(store_.state().calls, calls);
  EXPECT_EQ(timers_.scheduled(), 0u);
}

}  // namespace
}  // namespace penstock::router
