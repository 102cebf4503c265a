#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/dispatch/attempts/cascade.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

constexpr int kRequests = 1500;
constexpr double kFirst = 0.6e-3;
constexpr double kMiddle = 5e-3;
constexpr double kLarge = 60e-3;

// One request of a cascade whose first answer is mostly sure of itself.
struct Question {
  double p_stay, p_middle, p_large;
};

std::vector<Question> Questions(uint64_t seed) {
  std::vector<Question> questions;
  for (int i = 0; i < kRequests; ++i) {
    CounterRandom random(seed, static_cast<uint64_t>(i));
    // P(wrong) of the first answer: u^4 puts half of all below .06 and a tail up to .9.
    const double wrong = 0.9 * std::pow(random.Uniform(), 4);
    const double fixed_by_middle = 0.3 + 0.3 * random.Uniform();
    const double fixed_by_large = 0.7 + 0.25 * random.Uniform();
    // The dearer ones lose a little of what was right.
    questions.push_back({1 - wrong, 1 - wrong + wrong * fixed_by_middle - 0.01 * (1 - wrong),
                         1 - wrong + wrong * fixed_by_large - 0.004 * (1 - wrong)});
  }
  return questions;
}

struct Outcome {
  double mean_j = 0;
  double quality = 0;
  double worst_mean_after_200 = 0;  // largest mean so far over the budget
  int refused = 0;
  double last_price = 0;
};

// At a fixed price, without limits: what hindsight could choose.
Outcome AtPrice(const std::vector<Question>& questions, double price) {
  Outcome outcome;
  for (const Question& q : questions) {
    const EscalationOption options[] = {{1, q.p_middle, kMiddle}, {2, q.p_large, kLarge}};
    EscalationLimits limits;
    limits.price_per_joule = price;
    const Escalation decision = DecideEscalation(q.p_stay, options, limits);
    outcome.mean_j += kFirst + (decision.option ? options[*decision.option].energy_j : 0);
    outcome.quality += decision.option ? options[*decision.option].p_right : q.p_stay;
  }
  outcome.mean_j /= kRequests;
  outcome.quality /= kRequests;
  return outcome;
}

struct Setting {
  bool hard = false;
  double bias = 1;  // joules taken over joules predicted
  double noise = 0;
  size_t in_flight = 1;
};

Outcome Paced(const std::vector<Question>& questions, double budget, const Setting& setting) {
  FakeClock clock;
  MemoryWindowLedger ledger;
  BudgetPacer pacer(clock, ledger, {});
  config::v1::Budget config;
  config.set_amount(budget);
  config.set_hard(setting.hard);
  EXPECT_TRUE(pacer.SetBudget("pool", config).ok());
  Outcome outcome;
  double spent = 0;
  std::deque<std::pair<Reservation, double>> running;
  const auto settle_oldest = [&] {
    running.front().first.Settle({running.front().second});
    running.pop_front();
  };
  for (size_t i = 0; i < questions.size(); ++i) {
    clock.Advance(absl::Milliseconds(3));
    CounterRandom random(99, i);
    const Question& q = questions[i];
    auto opened = pacer.Open("pool", "");
    if (!opened.ok()) {
      ++outcome.refused;
      continue;
    }
    Reservation& reservation = *opened;
    reservation.Hold(kFirst);
    const EscalationOption options[] = {{1, q.p_middle, kMiddle}, {2, q.p_large, kLarge}};
    const PricedOption table[] = {{q.p_stay, 0}, {q.p_middle, kMiddle}, {q.p_large, kLarge}};
    EscalationLimits limits;
    limits.price_per_joule = outcome.last_price = reservation.price_per_joule();
    limits.headroom_j = reservation.headroom_j();
    const Escalation decision = DecideEscalation(q.p_stay, options, limits);
    reservation.RecordDecision(kFirst, table);
    double energy = kFirst;
    if (decision.option.has_value()) {
      EXPECT_TRUE(reservation.TryHold(options[*decision.option].energy_j));
      energy += options[*decision.option].energy_j;
    }
    outcome.quality += decision.option ? options[*decision.option].p_right : q.p_stay;
    energy *= setting.bias * (1 + setting.noise * (2 * random.Uniform() - 1));
    spent += energy;
    running.emplace_back(std::move(reservation), energy);
    if (running.size() == setting.in_flight) settle_oldest();
    if (i >= 200) {
      outcome.worst_mean_after_200 =
          std::max(outcome.worst_mean_after_200, spent / static_cast<double>(i + 1) / budget);
    }
  }
  while (!running.empty()) settle_oldest();
  outcome.mean_j = spent / kRequests;
  outcome.quality /= kRequests;
  return outcome;
}

// The best fixed price whose mean does not exceed the budget.
Outcome Hindsight(const std::vector<Question>& questions, double budget) {
  double low = 1e-6, high = 1e6;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (AtPrice(questions, middle).mean_j <= budget ? high : low) = middle;
  }
  return AtPrice(questions, high);
}

// Budgets from little over the first answer's joules to nearly all that escalation would take.
std::vector<double> Budgets(const std::vector<Question>& questions) {
  const double all = AtPrice(questions, 0).mean_j;
  std::vector<double> budgets;
  for (int step = 0; step < 12; ++step) {
    budgets.push_back(0.75e-3 * std::pow(0.95 * all / 0.75e-3, step / 11.0));
  }
  return budgets;
}

// Sums of 1,500 doubles.
constexpr double kRounding = 1e-9;

class CascadePacingTest : public testing::TestWithParam<uint64_t> {};

TEST_P(CascadePacingTest, MeanJoulesLandJustUnderTheBudgetFromAColdStart) {
  const auto questions = Questions(GetParam());
  for (const double budget : Budgets(questions)) {
    const Outcome paced = Paced(questions, budget, {.hard = true});
    EXPECT_GE(paced.mean_j / budget, 0.95) << budget;
    EXPECT_LE(paced.mean_j / budget, 1 + kRounding) << budget;
    EXPECT_LE(paced.worst_mean_after_200, 1 + kRounding) << budget;
  }
}

TEST_P(CascadePacingTest, ASoftBudgetIsKeptAsWell) {
  const auto questions = Questions(GetParam());
  for (const double budget : Budgets(questions)) {
    const Outcome paced = Paced(questions, budget, {.hard = false});
    EXPECT_GE(paced.mean_j / budget, 0.95) << budget;
    EXPECT_LE(paced.mean_j / budget, 1 + kRounding) << budget;
    EXPECT_EQ(paced.refused, 0);
  }
}

TEST_P(CascadePacingTest, QualityIsCloseToTheBestFixedPriceInHindsight) {
  const auto questions = Questions(GetParam());
  const double first_alone = AtPrice(questions, 1e9).quality;
  for (const double budget : Budgets(questions)) {
    const Outcome paced = Paced(questions, budget, {});
    const Outcome best = Hindsight(questions, budget);
    // Of what escalation can win at this budget at all.
    EXPECT_GE((paced.quality - first_alone) / (best.quality - first_alone), 0.9) << budget;
    EXPECT_GE(paced.quality / best.quality, 0.995) << budget;
  }
}

TEST_P(CascadePacingTest, ABiasedAndNoisyCostModelIsCorrected) {
  const auto questions = Questions(GetParam());
  for (const double bias : {0.7, 1.4}) {
    for (const double budget : Budgets(questions)) {
      // The first answer alone must fit, and the budget must bind.
      if (budget < 1.2 * bias * kFirst || budget > 0.9 * bias * AtPrice(questions, 0).mean_j)
        continue;
      const Outcome paced = Paced(questions, budget, {.bias = bias, .noise = 0.3});
      EXPECT_GE(paced.mean_j / budget, 0.9) << budget << " bias " << bias;
      EXPECT_LE(paced.mean_j / budget, 1.01) << budget << " bias " << bias;
    }
  }
}

TEST_P(CascadePacingTest, HoldsWithSixteenRequestsInFlight) {
  const auto questions = Questions(GetParam());
  for (const double budget : Budgets(questions)) {
    const Outcome paced = Paced(questions, budget, {.in_flight = 16});
    EXPECT_GE(paced.mean_j / budget, 0.9) << budget;
    EXPECT_LE(paced.mean_j / budget, 1 + kRounding) << budget;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CascadePacingTest, testing::Values(1, 2, 3, 4));

TEST(CascadePacingSlackTest, ThePriceIsZeroWhereTheBudgetCoversEverything) {
  const auto questions = Questions(5);
  const double all = AtPrice(questions, 0).mean_j;
  const Outcome paced = Paced(questions, 1.3 * all, {});
  EXPECT_DOUBLE_EQ(paced.last_price, 0);
  // Not all: the very first requests have no credit for the largest expert.
  EXPECT_GE(paced.quality, AtPrice(questions, 0).quality - 0.001);
}

}  // namespace
}  // namespace penstock::router
