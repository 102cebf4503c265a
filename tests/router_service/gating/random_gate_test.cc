#include "router_service/gating/random_gate.h"

#include <array>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/top_k.h"

namespace penstock::router {
namespace {

std::unique_ptr<const Gate> Random(size_t experts, uint32_t k) {
  config::v1::Gate config;
  config.mutable_random()->set_k(k);
  auto gate = MakeGate(config, std::vector<std::string>(experts, "e"), 0);
  EXPECT_TRUE(gate.ok()) << gate.status();
  return *std::move(gate);
}

// Pearson's statistic of the experts chosen over `draws` decisions; each decision chooses k.
double ChiSquare(const Gate& gate, const std::vector<uint8_t>& admissible, int draws) {
  std::vector<float> logits(gate.experts());
  std::vector<double> counts(gate.experts(), 0.0);
  double open = 0;
  for (size_t i = 0; i < counts.size(); ++i) open += admissible.empty() || admissible[i];
  for (int draw = 0; draw < draws; ++draw) {
    CounterRandom random(20241124, static_cast<uint64_t>(draw));
    gate.Score({}, admissible, random, absl::MakeSpan(logits));
    const auto choice = ChooseTopK(logits, admissible, gate.k());
    for (const WeightedExpert& expert : choice->experts) counts[expert.expert] += 1;
  }
  const double expected = draws * static_cast<double>(gate.k()) / open;
  double statistic = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (admissible.empty() || admissible[i]) {
      statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    } else {
      EXPECT_EQ(counts[i], 0);
    }
  }
  return statistic;
}

TEST(RandomGate, IsUniform) {
  // Chi-square with 7 degrees of freedom is above 24.3 once in a thousand.
  EXPECT_LT(ChiSquare(*Random(8, 1), {}, 8000), 24.3);
}

TEST(RandomGate, IsUniformOverTheAdmissible) {
  EXPECT_LT(ChiSquare(*Random(6, 1), {1, 0, 1, 1, 0, 1}, 8000), 16.3);  // 3 degrees of freedom
}

TEST(RandomGate, ChoosesSeveralUniformly) {
  // Draws without replacement spread less than Pearson's statistic assumes: the bound holds a
  // fortiori.
  EXPECT_LT(ChiSquare(*Random(8, 3), {}, 8000), 24.3);
}

TEST(RandomGate, WeighsTheDrawnAlike) {
  const auto gate = Random(5, 2);
  std::vector<float> logits(5);
  CounterRandom random(3, 4);
  gate->Score({}, {}, random, absl::MakeSpan(logits));
  const auto choice = ChooseTopK(logits, {}, 2);
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->experts[0].weight, 0.5f);
  EXPECT_EQ(choice->experts[1].weight, 0.5f);
}

TEST(RandomGate, PutsAllMassOnTheDrawn) {
  const auto gate = Random(5, 1);
  std::vector<float> logits(5), mass(5);
  CounterRandom random(3, 4);
  gate->Score({}, {}, random, absl::MakeSpan(logits));
  ASSERT_TRUE(GateMass(logits, {}, absl::MakeSpan(mass)));
  EXPECT_EQ(*std::max_element(mass.begin(), mass.end()), 1.0f);
}

TEST(RandomGate, DrawsTheSameFromTheSameSeedAndSequence) {
  const auto gate = Random(16, 4);
  std::vector<float> first(16), second(16), other(16);
  CounterRandom a(7, 9), b(7, 9), c(7, 10);
  gate->Score({}, {}, a, absl::MakeSpan(first));
  gate->Score({}, {}, b, absl::MakeSpan(second));
  gate->Score({}, {}, c, absl::MakeSpan(other));
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(RandomGate, DrawsEachRowAnew) {
  const auto gate = Random(64, 1);
  std::vector<float> logits(128);
  CounterRandom random(7, 9);
  gate->ScoreRows(2, {}, {}, random, absl::MakeSpan(logits));
  EXPECT_NE(std::vector<float>(logits.begin(), logits.begin() + 64),
            std::vector<float>(logits.begin() + 64, logits.end()));
}

}  // namespace
}  // namespace penstock::router
