// What bounds a single answer of a principal that once was far beyond its part.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/guards/principal_ledger.h"
#include "router_service/selection/selector.h"

namespace penstock::router {
namespace {

constexpr double kRho = 10;
constexpr double kNone = std::numeric_limits<double>::infinity();

void Ask(PrincipalLedger& ledger, absl::string_view principal, double energy_j) {
  PrincipalLedger::Charge charge = ledger.Open(principal, kRho);
  ledger.Hold(charge, energy_j);
  ledger.Settle(charge, energy_j);
}

class LargestAnswerTest : public testing::Test {
 protected:
  void SetUp() override { Ask(ledger_, "other", kRho); }
  double Largest() const { return ledger_.TermsOf("p", kRho).largest_j; }

  PrincipalLedger ledger_;
};

TEST_F(LargestAnswerTest, IsBoundFromTheFirstTimeOnThatAPrincipalPassedItsSlack) {
  Ask(ledger_, "p", 250);  // credit 1.1 - 25 = -23.9
  EXPECT_EQ(Largest(), kNone);
  Ask(ledger_, "p", 23);  // -25.1
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 25.1), 1e-9);
  Ask(ledger_, "p", 510);  // -75: what is left is a request's allowance
  EXPECT_NEAR(Largest(), 11, 1e-9);
  Ask(ledger_, "p", 1000);
  EXPECT_DOUBLE_EQ(Largest(), 11);
  for (int i = 0; i < 300; ++i) Ask(ledger_, "p", 0);  // 75: it owes nothing, and stays bound
  EXPECT_DOUBLE_EQ(ledger_.Credit("p"), 75);
  EXPECT_NEAR(Largest(), 10 * (150 + 1.1), 1e-9);
  EXPECT_EQ(ledger_.TermsOf("other", kRho).largest_j, kNone);
}

TEST_F(LargestAnswerTest, WhatIsInFlightCountsAsWhatItHolds) {
  PrincipalLedger::Charge first = ledger_.Open("p", kRho);
  EXPECT_TRUE(ledger_.TryHold(first, 400, 5000));  // 40 - 1.1 = 38.9 beyond its allowance
  EXPECT_NEAR(ledger_.LargestOf(first), 10 * (75 - 38.9), 1e-9) << "its allowance is counted";
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 38.9), 1e-9);
  PrincipalLedger::Charge second = ledger_.Open("p", kRho);
  EXPECT_FALSE(ledger_.TryHold(second, 20, 373));
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 38.9), 1e-9);
  EXPECT_TRUE(ledger_.TryHold(second, 20, 371));
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 38.9 - 0.9), 1e-9);
  PrincipalLedger::Charge cheap = ledger_.Open("p", kRho);
  ledger_.Hold(cheap, 1);
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 38.9 - 0.9), 1e-9) << "it lends nothing";
  ledger_.Hold(cheap, 20);  // metering: it grows to 2.1
  EXPECT_NEAR(Largest(), 10 * (75 + 1.1 - 38.9 - 1.9), 1e-9);
  ledger_.Forget(cheap);
  ledger_.Forget(second);
  ledger_.Settle(first, 20);  // it took 2, and was never beyond the slack
  EXPECT_EQ(Largest(), kNone);
}

TEST_F(LargestAnswerTest, AnAnswerOfWhichNothingIsKnownIsHeldForWhateverIsLeft) {
  Ask(ledger_, "p", 2000);
  EXPECT_DOUBLE_EQ(Largest(), 11);
  PrincipalLedger::Charge charge = ledger_.Open("p", kRho);
  EXPECT_TRUE(ledger_.TryHold(charge, 50, 0));
  EXPECT_FALSE(ledger_.TryHold(charge, 50, 60));
}

TEST(LargestAnswerAloneTest, TheOnlyPrincipalIsNotBound) {
  PrincipalLedger ledger;
  for (int i = 0; i < 100; ++i) Ask(ledger, "p", 500);
  EXPECT_EQ(ledger.TermsOf("p", kRho).largest_j, kNone);
  EXPECT_EQ(ledger.LargestOf(ledger.Open("p", 0)), kNone) << "nor a budget that gives nothing";
}

TEST(LargestAnswerPlacesTest, WhoTakesOverADebtIsBoundByIt) {
  PrincipalLedger ledger(2);
  PrincipalLedger::Charge a = ledger.Open("a", kRho);
  PrincipalLedger::Charge b = ledger.Open("b", kRho);
  Ask(ledger, "c", 271);  // without a place: the account that is shared owes 26
  ledger.Settle(a, 0);
  ledger.Settle(b, 0);
  Ask(ledger, "c", 0);  // takes a's place, and the debt
  EXPECT_NEAR(ledger.Credit("c"), -24.9, 1e-9);
  EXPECT_NEAR(ledger.TermsOf("c", kRho).largest_j, 10 * (75 + 1.1 - 24.9), 1e-9);
}

// An attacker whose prompts let the router think whatever they like, and who knows beforehand what
// an answer will take: neither price nor headroom, but largest_j alone, binds it here. Several
// requests at once, which end in any order; some never run.
struct Attacker {
  uint64_t seed = 0;
  size_t at_once = 1;
  bool always_most = false;  // its answers all take the most they may
};

// In requests' worth.
struct Excess {
  double largest = 0;  // of the experts' answers
  double most = -1e9;  // of what it took beyond 1.1 n, after each settlement
  // The same beyond what answers took beyond what they held that were under way when the last dear
  // one was asked for.
  double most_beyond = -1e9;
  size_t dear = 0;  // answers asked for while it was bound
};

Excess Attack(const Attacker& attacker) {
  CounterRandom shape(17, attacker.seed);
  PrincipalLedger ledger;
  Ask(ledger, "other", kRho);
  // The first expert is the cheapest: its answers take less than the allowance.
  std::vector<double> largest = {0.9 * kRho};
  for (int i = 0; i < 5; ++i) largest.push_back(kRho * 2 * std::pow(65, shape.Uniform()));
  Excess excess;
  excess.largest = *std::max_element(largest.begin(), largest.end()) / kRho;
  const double power = 8 * shape.Uniform();

  struct Running {
    PrincipalLedger::Charge charge;
    double joules = 0;
    double held = 0;
    bool beside_last = false;  // under way when the last dear answer was asked for
  };
  std::vector<Running> running;
  Selector selector;
  SelectionResult chosen;
  double taken = 0, beyond_held = 0;
  size_t settled = 0;
  for (uint64_t i = 0; i < 3000; ++i) {
    CounterRandom random(attacker.seed, i);
    Running next{ledger.Open("p", kRho)};
    std::vector<SelectionCandidate> candidates(largest.size());
    for (size_t e = 0; e < candidates.size(); ++e) {
      candidates[e].score = candidates[e].quality = e == 0 ? 0 : random.Uniform();
      candidates[e].energy_j = e == 0 ? 0.5 * kRho : kRho * (0.6 + 2 * random.Uniform());
    }
    SelectionLimits limits;
    limits.largest_j = ledger.LargestOf(next.charge);
    limits.largest_of = largest;
    selector.Select(absl::MakeSpan(candidates), limits, chosen);
    const size_t expert = chosen.chosen.at(0).expert;
    next.held = candidates[expert].energy_j / kRho;
    if (expert == 0) {
      ledger.Hold(next.charge, candidates[0].energy_j);
    } else {
      EXPECT_TRUE(ledger.TryHold(next.charge, candidates[expert].energy_j, largest[expert]));
      if (limits.largest_j < kNone) ++excess.dear;
      for (Running& other : running) other.beside_last = true;
      beyond_held = 0;
    }
    next.joules =
        largest[expert] * (attacker.always_most ? 1 : std::pow(random.Uniform(), power));
    running.push_back(std::move(next));
    if (running.size() < attacker.at_once) continue;
    std::swap(running[random.Below(running.size())], running.back());
    Running& done = running.back();
    if (random.Below(20) == 0) {
      ledger.Forget(done.charge);
    } else {
      ledger.Settle(done.charge, done.joules);
      const double requests_worth = done.joules / kRho;
      taken += requests_worth;
      ++settled;
      if (done.beside_last) {
        beyond_held += std::max(
            0.0, requests_worth - std::max(PrincipalLedger::kAllowance, done.held));
      }
      const double excess_now =
          taken - PrincipalLedger::kAllowance * static_cast<double>(settled);
      excess.most = std::max(excess.most, excess_now);
      excess.most_beyond = std::max(excess.most_beyond, excess_now - beyond_held);
    }
    running.pop_back();
  }
  return excess;
}

TEST(LargestAnswerBoundTest, NoAttackerEverPassesTheBound) {
  size_t near = 0, dear = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    for (const size_t at_once : {1, 2, 7, 40}) {
      for (const bool always_most : {true, false}) {
        const Excess excess = Attack({seed, at_once, always_most});
        const double bound =
            std::max(PrincipalLedger::kMostOwed, PrincipalLedger::kSlack + excess.largest);
        EXPECT_LE(excess.most_beyond, bound + 1e-6)
            << "seed " << seed << " at once " << at_once << " largest " << excess.largest;
        if (at_once == 1) {
          EXPECT_EQ(excess.most, excess.most_beyond) << "one at a time there is nothing beside it";
          if (excess.most > 0.8 * bound) ++near;
        }
        dear += excess.dear;
      }
    }
  }
  EXPECT_GE(near, 60u) << "the attackers do come near it";
  EXPECT_GT(dear, 10'000u) << "and whoever is bound is still given dear experts";
}

// What the cheapest takes beyond its allowance comes on top: it is asked whatever it takes.
TEST(LargestAnswerBoundTest, WhatTheCheapestTakesComesOnTop) {
  PrincipalLedger ledger;
  Ask(ledger, "other", kRho);
  Ask(ledger, "p", 260);
  PrincipalLedger::Charge charge = ledger.Open("p", kRho);
  EXPECT_TRUE(ledger.TryHold(charge, kRho, 1300));
  ledger.Settle(charge, 1300);
  EXPECT_NEAR(ledger.Credit("p"), -(26 + 130 - 2 * 1.1), 1e-9) << "1.2 below 25 and 130";
  for (int i = 0; i < 10; ++i) {
    PrincipalLedger::Charge of_cheapest = ledger.Open("p", kRho);
    EXPECT_FALSE(ledger.TryHold(of_cheapest, kRho, 21));
    ledger.Hold(of_cheapest, kRho);
    ledger.Settle(of_cheapest, 21);
  }
  EXPECT_NEAR(ledger.Credit("p"), -(26 + 130 - 2 * 1.1 + 10), 1e-9);
}

}  // namespace
}  // namespace penstock::router
