#include "router_service/dispatch/choice/priced_options.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "common/random.h"

namespace penstock::router {
namespace {

// 300 experts, dearer ones better by less and less, and noise.
ExpertChoice Choice(uint64_t number, size_t max_experts) {
  CounterRandom random(6, number);
  auto candidates = std::make_shared<CandidateColumns>(300);
  ExpertChoice choice;
  for (size_t i = 0; i < 300; ++i) {
    SelectionCandidate c;
    c.energy_j = 0.01 + random.Uniform();
    c.score = 0.5 * random.Uniform() + 0.5 * c.energy_j / (0.2 + c.energy_j);
    candidates->Set(i, c);
    choice.excluded.push_back(random.Below(10) == 0 ? Exclusion::kLatencyBudget : Exclusion::kNone);
  }
  choice.candidates = std::move(candidates);
  choice.limits.max_experts = max_experts;
  return choice;
}

std::vector<PricedOption> All(const ExpertChoice& choice) {
  std::vector<PricedOption> all;
  for (size_t i = 0; i < choice.excluded.size(); ++i) {
    if (choice.excluded[i] != Exclusion::kNone) continue;
    all.push_back({choice.limits.value * choice.candidates->score()[i],
                   choice.candidates->energy_j()[i]});
  }
  return all;
}

TEST(PricedOptionsTest, ATableOfThemIsTheTableOfAll) {
  for (const size_t max_experts : {1, 2, 4}) {
    for (uint64_t number = 0; number < 100; ++number) {
      const ExpertChoice choice = Choice(number, max_experts);
      const std::vector<PricedOption> few = PricedOptions(choice);
      EXPECT_LT(few.size(), 60u);
      const DecisionTable of_few(0, few, max_experts, 0, false);
      const DecisionTable of_all(0, All(choice), max_experts, 0, false);
      ASSERT_EQ(of_few.size(), of_all.size()) << number;
      EXPECT_EQ(of_few.FloorEnergy(), of_all.FloorEnergy()) << number;
      for (double price = 0.001; price < 100; price *= 1.7) {
        ASSERT_EQ(of_few.EnergyAt(price), of_all.EnergyAt(price))
            << number << " at " << price << " for " << max_experts;
      }
    }
  }
}

TEST(PricedOptionsTest, APriceMovesOnlyTheSearchForQuality) {
  ExpertChoice choice = Choice(0, 1);
  choice.limits.objective = Objective::kEnergy;
  choice.selection.energy_j = 3;
  const std::vector<PricedOption> options = PricedOptions(choice);
  ASSERT_EQ(options.size(), 1u);
  EXPECT_EQ(options[0].energy_j, 3);
}

TEST(PricedOptionsTest, OneExpertThatDominatesIsTheWholeHull) {
  ExpertChoice choice = Choice(0, 1);
  auto candidates = std::make_shared<CandidateColumns>(*choice.candidates);
  candidates->Set(7, {.score = 2, .energy_j = 0.001});
  choice.candidates = std::move(candidates);
  choice.excluded[7] = Exclusion::kNone;
  EXPECT_EQ(PricedOptions(choice).size(), 1u);
}

}  // namespace
}  // namespace penstock::router
