#include "router_service/guards/principal_ledger.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/selection/selector.h"

namespace penstock::router {
namespace {

constexpr double kRho = 10;

// A request that holds and takes these joules.
void Ask(PrincipalLedger& ledger, absl::string_view principal, double energy_j) {
  PrincipalLedger::Charge charge = ledger.Open(principal, kRho);
  ledger.Hold(charge, energy_j);
  ledger.Settle(charge, energy_j);
}

double Multiplier(const PrincipalLedger& ledger, absl::string_view principal) {
  return ledger.TermsOf(principal, kRho).multiplier;
}

// Somebody else is there, so that prices are not the pacer's alone.
class PrincipalLedgerTest : public testing::Test {
 protected:
  void SetUp() override { Ask(ledger_, "other", kRho); }

  PrincipalLedger ledger_;
};

TEST_F(PrincipalLedgerTest, CreditAndPriceFollowTheFormula) {
  // 1.1 - 11 / 10 = 0; 1.1 - 281 / 10 = -27; 1.1 more; 1.1 - 41 / 10 = -3, and -3 again.
  const std::vector<double> joules = {11, 281, 0, 41, 41};
  const std::vector<double> credits = {0, -27, -25.9, -28.9, -31.9};
  // exp(0), exp(2 / 8), exp(.9 / 8), exp(3.9 / 8), exp(6.9 / 8)
  const std::vector<double> multipliers = {1, 1.2840254167, 1.1190722569, 1.6282405261,
                                           2.3690759865};
  for (size_t i = 0; i < joules.size(); ++i) {
    Ask(ledger_, "p", joules[i]);
    EXPECT_NEAR(ledger_.Credit("p"), credits[i], 1e-12) << i;
    EXPECT_NEAR(Multiplier(ledger_, "p"), multipliers[i], 1e-9) << i;
  }
  EXPECT_NEAR(ledger_.Credit("other"), 0.1, 1e-12);
  EXPECT_EQ(Multiplier(ledger_, "other"), 1);
}

TEST_F(PrincipalLedgerTest, ARequestPaysWhatItsPrincipalOwedWhenItCame) {
  Ask(ledger_, "p", 341);  // credit -33
  EXPECT_NEAR(ledger_.Open("p", kRho).multiplier(), 2.718281828459, 1e-12);
  EXPECT_EQ(ledger_.Open("other", kRho).multiplier(), 1);
}

// 8 ln 4 = 11.09 beyond the slack.
TEST_F(PrincipalLedgerTest, WhoOwesTooMuchMayHaveWhatPaysItsDebtOnly) {
  const double none = std::numeric_limits<double>::infinity();
  Ask(ledger_, "p", 371);  // -36
  EXPECT_LT(ledger_.Open("p", kRho).multiplier(), 4);
  EXPECT_EQ(ledger_.Open("p", kRho).headroom_j(), none);
  Ask(ledger_, "p", 21);  // -37
  for (int i = 0; i < 2; ++i) {
    const PrincipalLedger::Terms terms = ledger_.TermsOf("p", kRho);
    EXPECT_NEAR(terms.multiplier, 4, 1e-12);
    EXPECT_DOUBLE_EQ(terms.headroom_j, 7.5);
    EXPECT_DOUBLE_EQ(ledger_.Open("p", kRho).headroom_j(), 7.5);
    Ask(ledger_, "p", 7.5);
  }
  Ask(ledger_, "p", 7.5);  // -35.95
  EXPECT_EQ(ledger_.TermsOf("p", kRho).headroom_j, none);
  EXPECT_EQ(ledger_.TermsOf("other", kRho).headroom_j, none);
}

TEST_F(PrincipalLedgerTest, FarInDebtThePriceRisesAgain) {
  Ask(ledger_, "p", 10 * (1.1 + 25 + 100));
  EXPECT_NEAR(Multiplier(ledger_, "p"), 4, 1e-9);
  Ask(ledger_, "p", 211);  // 20 more
  EXPECT_NEAR(Multiplier(ledger_, "p"), 4 * std::exp(1.0), 1e-9);
}

TEST_F(PrincipalLedgerTest, CreditIsSeventyFiveRequestsAtMost) {
  for (int i = 0; i < 1000; ++i) Ask(ledger_, "p", 0);
  EXPECT_DOUBLE_EQ(ledger_.Credit("p"), 75);
  Ask(ledger_, "p", 1011);
  EXPECT_NEAR(ledger_.Credit("p"), -25, 1e-12);
  EXPECT_NEAR(Multiplier(ledger_, "p"), 1, 1e-12);
}

TEST_F(PrincipalLedgerTest, ADebtBeyondAllBoundsLeavesAPriceThatIsFinite) {
  Ask(ledger_, "p", 1e12);
  EXPECT_DOUBLE_EQ(Multiplier(ledger_, "p"), std::exp(30.0));
}

TEST_F(PrincipalLedgerTest, WhatIsInFlightCountsAsWhatItHolds) {
  std::vector<PrincipalLedger::Charge> charges;
  for (int i = 0; i < 4; ++i) {
    charges.push_back(ledger_.Open("p", kRho));
    ledger_.Hold(charges.back(), 83.5);
  }
  // 4 (8.35 - 1.1) = 29 requests' worth.
  EXPECT_EQ(ledger_.Credit("p"), 0);
  EXPECT_NEAR(Multiplier(ledger_, "p"), std::exp(0.5), 1e-12);
  ledger_.Hold(charges[0], 40);  // metering: it grows
  EXPECT_NEAR(Multiplier(ledger_, "p"), std::exp(1.0), 1e-12);
  ledger_.Settle(charges[0], 103.5);
  EXPECT_NEAR(Multiplier(ledger_, "p"), std::exp(0.75), 1e-12);
}

TEST_F(PrincipalLedgerTest, WhatOnlyHasComeLendsNoCredit) {
  Ask(ledger_, "p", 341);
  std::vector<PrincipalLedger::Charge> charges;
  for (int i = 0; i < 16; ++i) charges.push_back(ledger_.Open("p", kRho));
  EXPECT_NEAR(Multiplier(ledger_, "p"), std::exp(1.0), 1e-12);
}

TEST_F(PrincipalLedgerTest, ARequestThatNeverRanLeavesNothing) {
  Ask(ledger_, "p", 300);
  const double before = Multiplier(ledger_, "p");
  PrincipalLedger::Charge charge = ledger_.Open("p", kRho);
  ledger_.Hold(charge, 500);
  EXPECT_GT(Multiplier(ledger_, "p"), before);
  ledger_.Forget(charge);
  EXPECT_EQ(Multiplier(ledger_, "p"), before);
  ledger_.Settle(charge, 500);  // closed: it counts no more
  EXPECT_EQ(Multiplier(ledger_, "p"), before);
}

TEST_F(PrincipalLedgerTest, FiguresThatMeanNothingDoNotSpoilAnAccount) {
  PrincipalLedger::Charge charge = ledger_.Open("p", kRho);
  ledger_.Hold(charge, 21);
  ledger_.Settle(charge, std::numeric_limits<double>::quiet_NaN());
  EXPECT_NEAR(ledger_.Credit("p"), -1, 1e-12);
  for (const double rho : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    PrincipalLedger::Charge nothing = ledger_.Open("p", rho);
    EXPECT_EQ(nothing.multiplier(), 1);
    EXPECT_EQ(ledger_.TermsOf("p", rho).multiplier, 1);
    ledger_.Hold(nothing, 50);
    ledger_.Settle(nothing, 50);
  }
  EXPECT_NEAR(ledger_.Credit("p"), -1, 1e-12);
}

TEST(PrincipalLedgerAloneTest, TheOnlyPrincipalPaysThePriceAlone) {
  PrincipalLedger ledger;
  for (int i = 0; i < 100; ++i) Ask(ledger, "p", 50);
  EXPECT_EQ(Multiplier(ledger, "p"), 1);
  EXPECT_EQ(ledger.Open("p", kRho).multiplier(), 1);
  Ask(ledger, "other", 1);
  EXPECT_GT(Multiplier(ledger, "p"), 1e6);
}

TEST_F(PrincipalLedgerTest, WhoTakesNoMoreThanItsPartIsNeverRepriced) {
  for (int i = 0; i < 20'000; ++i) {
    CounterRandom random(5, static_cast<uint64_t>(i));
    // A pair of requests takes 2.2 rho, either first.
    const double first = 17.6 * random.Uniform();
    for (const double joules : {first, 17.6 - first}) {
      PrincipalLedger::Charge charge = ledger_.Open("p", 8);
      ASSERT_EQ(charge.multiplier(), 1) << i;
      ledger_.Hold(charge, joules);
      ledger_.Settle(charge, joules);
    }
  }
}

// The price of all others is fixed, one at which the dear expert is worth its joules to whoever
// thinks it 1 better, as the attacker's prompts always let the router think. What it takes is any
// sequence up to a cap.
TEST_F(PrincipalLedgerTest, AnAttackerEndsAtItsPartWhateverItsRequestsTake) {
  constexpr int kRequests = 20'000;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CounterRandom shape(11, seed);
    const double cap = kRho * (2 + 38 * shape.Uniform());
    const double power = 0.2 + 4 * shape.Uniform();
    const double dear = cap / (1 + power);  // the mean
    const double price = (0.02 + 0.9 * shape.Uniform()) / dear;
    Selector selector;
    SelectionResult chosen;
    double taken = 0;
    const std::string attacker = absl::StrCat("attacker-", seed);
    for (int i = 0; i < kRequests; ++i) {
      PrincipalLedger::Charge charge = ledger_.Open(attacker, kRho);
      std::vector<SelectionCandidate> candidates(2);
      candidates[0].energy_j = 1;
      candidates[1].score = candidates[1].quality = 1;
      candidates[1].energy_j = dear;
      SelectionLimits limits;
      limits.price_per_joule = price * charge.multiplier();
      limits.headroom_j = charge.headroom_j();
      selector.Select(absl::MakeSpan(candidates), limits, chosen);
      const size_t expert = chosen.chosen.at(0).expert;
      CounterRandom random(seed, static_cast<uint64_t>(i));
      const double joules = expert == 0 ? 1 : cap * std::pow(random.Uniform(), power);
      ledger_.Hold(charge, candidates[expert].energy_j);
      ledger_.Settle(charge, joules);
      taken += joules;
    }
    // 36 and three caps of 40 at most are 156 requests' worth: .008 of 20,000.
    EXPECT_LE(taken / kRequests, 1.11 * kRho) << "seed " << seed << " cap " << cap;
    EXPECT_GE(taken / kRequests, 0.95 * std::min(dear, 1.1 * kRho)) << "the attack does something";
  }
}

TEST(PrincipalLedgerPlacesTest, TheLongestInactiveMakesRoom) {
  PrincipalLedger ledger(2);
  Ask(ledger, "a", 0);
  Ask(ledger, "b", 0);
  Ask(ledger, "a", 0);
  Ask(ledger, "c", 0);
  EXPECT_EQ(ledger.principals(), 2u);
  EXPECT_DOUBLE_EQ(ledger.Credit("a"), 2.2);
  EXPECT_DOUBLE_EQ(ledger.Credit("c"), 1.1);
  Ask(ledger, "b", 0);  // comes back with 0
  EXPECT_DOUBLE_EQ(ledger.Credit("b"), 1.1);
}

TEST(PrincipalLedgerPlacesTest, NobodyLosesADebtByMakingRoom) {
  PrincipalLedger ledger(2);
  Ask(ledger, "debtor", 341);
  for (int i = 0; i < 100; ++i) Ask(ledger, absl::StrCat("p", i), 0);
  EXPECT_EQ(ledger.principals(), 2u);
  EXPECT_NEAR(ledger.Credit("debtor"), -33, 1e-12);
  EXPECT_NEAR(Multiplier(ledger, "debtor"), std::exp(1.0), 1e-12);
}

TEST(PrincipalLedgerPlacesTest, NobodyMakesRoomWithRequestsInFlight) {
  PrincipalLedger ledger(2);
  PrincipalLedger::Charge running = ledger.Open("running", kRho);
  ledger.Hold(running, 100);
  Ask(ledger, "a", 0);
  Ask(ledger, "b", 0);
  ledger.Settle(running, 111);
  EXPECT_NEAR(ledger.Credit("running"), -10, 1e-12);
}

TEST(PrincipalLedgerPlacesTest, WhoHasNoPlaceSharesOneAccountAndItsDebtStays) {
  PrincipalLedger ledger(2);
  Ask(ledger, "a", 21);  // -1
  Ask(ledger, "b", 111);
  Ask(ledger, "c", 341);  // the shared account: -33
  EXPECT_EQ(ledger.principals(), 2u);
  EXPECT_NEAR(ledger.Open("d", kRho).multiplier(), std::exp(1.0), 1e-12);
  Ask(ledger, "a", 0);  // .1: it can make room
  Ask(ledger, "c", 11);
  EXPECT_NEAR(ledger.Credit("c"), -33, 1e-12);
  EXPECT_EQ(ledger.Credit("a"), 0);
  EXPECT_NEAR(ledger.Credit("b"), -10, 1e-12);
}

TEST(PrincipalLedgerPlacesTest, EqualSequencesHaveEqualPrices) {
  const auto prices = [] {
    PrincipalLedger ledger(8);
    std::vector<double> list;
    for (uint64_t i = 0; i < 5000; ++i) {
      CounterRandom random(3, i);
      const std::string principal = absl::StrCat(random.Below(16));
      Ask(ledger, principal, 40 * random.Uniform());
      list.push_back(Multiplier(ledger, principal));
    }
    return list;
  };
  EXPECT_EQ(prices(), prices());
}

TEST(PrincipalLedgerPlacesTest, ManyThreadsLeaveEveryAccountEven) {
  PrincipalLedger ledger(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&ledger, t] {
      for (uint64_t i = 0; i < 2000; ++i) {
        CounterRandom random(static_cast<uint64_t>(t), i);
        // What settles is the allowance, and 11 / 10 is the double that 1.1 is.
        PrincipalLedger::Charge charge = ledger.Open(absl::StrCat("p", random.Below(4)), kRho);
        ledger.Hold(charge, 16);
        if (random.Below(4) == 0) {
          ledger.Forget(charge);
        } else {
          ledger.Settle(charge, 11);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.principals(), 4u);
  for (int p = 0; p < 4; ++p) {
    EXPECT_EQ(ledger.Credit(absl::StrCat("p", p)), 0) << p;
    EXPECT_EQ(Multiplier(ledger, absl::StrCat("p", p)), 1) << p;
  }
}

}  // namespace
}  // namespace penstock::router
