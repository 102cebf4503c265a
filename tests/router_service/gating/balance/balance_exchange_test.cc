// Choices of several routers add up to one balance, in simulated time.
#include "router_service/gating/balance/balance_exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

// The gate's sums are kept in millionths.
constexpr double kRounding = 1e-5;

v1::Decision Decided(const std::vector<double>& gate, const std::vector<size_t>& chosen) {
  v1::Decision decision;
  for (size_t i = 0; i < gate.size(); ++i) {
    v1::Candidate& candidate = *decision.add_candidates();
    candidate.set_expert(absl::StrCat("e", i));
    candidate.set_gate(gate[i]);
  }
  for (const size_t expert : chosen) {
    v1::Run& run = *decision.add_runs();
    run.set_expert(absl::StrCat("e", expert));
    run.set_reason("chosen");
  }
  return decision;
}
StoreFields Counters(const BalanceCounts& counts) {
  StoreFields counters;
  for (const StoreField& field : counts.Fields()) counters[field.field] = field.value;
  return counters;
}
const std::vector<std::string> kTwo = {"e0", "e1"};

TEST(PoolBalanceTest, EvenIsOne) {
  BalanceCounts counts;
  counts.Add(Decided({0.5, 0.5}, {0}));
  counts.Add(Decided({0.5, 0.5}, {1}));
  const auto balance = BalanceOf(Counters(counts), kTwo);
  ASSERT_TRUE(balance.has_value());
  EXPECT_THAT(balance->loss, DoubleNear(1, kRounding));
  EXPECT_THAT(balance->chosen, ElementsAre(0.5, 0.5));
  EXPECT_THAT(balance->gate, ElementsAre(0.5, 0.5));
}

TEST(PoolBalanceTest, AllAtOneOfTwoIsTwo) {
  BalanceCounts counts;
  counts.Add(Decided({1, 0}, {0}));
  EXPECT_THAT(BalanceOf(Counters(counts), kTwo)->loss, DoubleNear(2, kRounding));
}

// f = (3/4, 1/4), p = (.6, .4): 2 (.45 + .1).
TEST(PoolBalanceTest, IsTheSumOfProducts) {
  BalanceCounts counts;
  for (int i = 0; i < 4; ++i) counts.Add(Decided({0.6, 0.4}, {i == 3 ? size_t{1} : size_t{0}}));
  EXPECT_THAT(BalanceOf(Counters(counts), kTwo)->loss, DoubleNear(1.1, kRounding));
}

TEST(PoolBalanceTest, OnlyWhatWasChosenCounts) {
  BalanceCounts counts;
  v1::Decision decision = Decided({0.9, 0.1}, {0});
  v1::Run& escalation = *decision.add_runs();
  escalation.set_expert("e1");
  escalation.set_reason("escalation");
  counts.Add(decision);
  counts.Add(Decided({0.1, 0.9}, {}));  // refused
  const auto balance = BalanceOf(Counters(counts), kTwo);
  EXPECT_THAT(balance->chosen, ElementsAre(1, 0));
  EXPECT_THAT(balance->gate, ElementsAre(DoubleNear(0.9, kRounding), DoubleNear(0.1, kRounding)));
}

TEST(PoolBalanceTest, OfNobodyIsNotKnown) {
  EXPECT_EQ(BalanceOf({}, kTwo), std::nullopt);
  EXPECT_EQ(BalanceOf({{"c other", 3}, {"p other", 3}}, kTwo), std::nullopt);
  EXPECT_EQ(BalanceOf({{"c e0", -3}, {"p e0", 1}}, kTwo), std::nullopt);
}

TEST(PoolBalanceTest, AnotherSetOfExpertsBeginsAnew) {
  BalanceCounts counts;
  counts.Add(Decided({0.5, 0.5}, {1}));
  counts.Add(Decided({0.2, 0.3, 0.5}, {2}));
  EXPECT_EQ(counts.Fields().size(), 4u);
  EXPECT_FALSE(counts.empty());
}

class BalanceExchangeTest : public testing::Test {
 protected:
  struct Router {
    std::shared_ptr<BalanceExchange> exchange;
    std::vector<std::optional<double>> told;
    ~Router() { exchange->Stop(); }
  };
  std::unique_ptr<Router> NewRouter() {
    auto router = std::make_unique<Router>();
    router->exchange = std::make_shared<BalanceExchange>(BalanceExchange::Deps{
        store_, clock_, timers_,
        [] {
          return std::vector<BalanceExchange::PoolExperts>{{"pool", kTwo}};
        },
        [to = router.get()](const BalanceExchange::PoolExperts& pool,
                            const std::optional<Balance>& balance) {
          EXPECT_EQ(pool.pool, "pool");
          to->told.push_back(balance.has_value() ? std::optional(balance->loss) : std::nullopt);
        }});
    router->exchange->Start();
    return router;
  }

  FakeClock clock_{absl::FromUnixSeconds(1'000'000)};  // a window begins
  FakeTimers timers_{clock_};
  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
};

// Each router's own balance would be 2.
TEST_F(BalanceExchangeTest, RoutersWithASpecialityEachAreEvenTogether) {
  const auto a = NewRouter(), b = NewRouter();
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 5; ++i) {
      a->exchange->Add("pool", Decided({1, 0}, {0}));
      b->exchange->Add("pool", Decided({0, 1}, {1}));
    }
    timers_.AdvanceAndRun(absl::Milliseconds(950));
  }
  timers_.AdvanceAndRun(absl::Seconds(5));
  for (const auto& router : {a.get(), b.get()}) {
    ASSERT_EQ(router->told.size(), 1u);
    EXPECT_THAT(router->told[0], testing::Optional(DoubleNear(1, kRounding)));
  }
}

TEST_F(BalanceExchangeTest, EveryWindowIsToldOnceAndBeginsAnew) {
  const auto a = NewRouter();
  a->exchange->Add("pool", Decided({1, 0}, {0}));
  timers_.AdvanceAndRun(absl::Seconds(10));
  a->exchange->Add("pool", Decided({0.5, 0.5}, {1}));
  timers_.AdvanceAndRun(absl::Seconds(25));
  ASSERT_EQ(a->told.size(), 3u);
  EXPECT_THAT(a->told[0], testing::Optional(DoubleNear(2, kRounding)));
  EXPECT_THAT(a->told[1], testing::Optional(DoubleNear(1, kRounding)));
  EXPECT_EQ(a->told[2], std::nullopt);  // nobody asked for anything
}

TEST_F(BalanceExchangeTest, WithoutTheStoreNothingIsKnownAndRequestsGoOn) {
  const auto a = NewRouter();
  store_.Fail(absl::UnavailableError("gone"));
  for (int second = 0; second < 15; ++second) {
    a->exchange->Add("pool", Decided({1, 0}, {0}));
    timers_.AdvanceAndRun(absl::Seconds(1));
  }
  EXPECT_THAT(a->told, ElementsAre(std::nullopt));
  store_.Fail(absl::OkStatus());
  for (int second = 0; second < 20; ++second) {
    a->exchange->Add("pool", Decided({1, 0}, {0}));
    timers_.AdvanceAndRun(absl::Seconds(1));
  }
  EXPECT_THAT(a->told.back(), testing::Optional(DoubleNear(2, kRounding)));
}

TEST_F(BalanceExchangeTest, WithoutRequestsNothingIsWritten) {
  const auto a = NewRouter();
  timers_.AdvanceAndRun(absl::Seconds(9));
  EXPECT_EQ(memory_.state().calls, 0);
}

}  // namespace
}  // namespace penstock::router
