#include "router_service/gating/top_k.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<uint32_t> Ids(const TopKChoice& choice) {
  std::vector<uint32_t> ids;
  for (const WeightedExpert& expert : choice.experts) ids.push_back(expert.expert);
  return ids;
}

std::vector<float> Weights(const TopKChoice& choice) {
  std::vector<float> weights;
  for (const WeightedExpert& expert : choice.experts) weights.push_back(expert.weight);
  return weights;
}

TopKChoice Choose(std::vector<float> logits, std::vector<uint8_t> admissible, size_t k) {
  auto choice = ChooseTopK(logits, admissible, k);
  EXPECT_TRUE(choice.ok()) << choice.status();
  return *std::move(choice);
}

TEST(ChooseTopK, NormalisesOverTheChosen) {
  const TopKChoice choice = Choose({0, std::log(3.0f), -5, std::log(2.0f)}, {}, 2);
  EXPECT_THAT(Ids(choice), ElementsAre(1, 3));
  EXPECT_THAT(Weights(choice), ElementsAre(FloatNear(0.6f, 1e-6f), FloatNear(0.4f, 1e-6f)));
}

TEST(ChooseTopK, BreaksTiesByLowerExpert) {
  EXPECT_THAT(Ids(Choose({1, 2, 2, 2}, {}, 2)), ElementsAre(1, 2));
  EXPECT_THAT(Ids(Choose({5, 5, 5}, {}, 3)), ElementsAre(0, 1, 2));
}

TEST(ChooseTopK, KeepsALogitOfZero) {
  const TopKChoice choice = Choose({-1, 0, -2}, {}, 2);
  EXPECT_THAT(Ids(choice), ElementsAre(1, 0));
  EXPECT_NEAR(choice.experts[0].weight, 1 / (1 + std::exp(-1.0)), 1e-6);
}

TEST(ChooseTopK, DoesNotChangeUnderAShift) {
  const TopKChoice low = Choose({0.5f, -1.25f, 2, 0}, {}, 3);
  const TopKChoice high = Choose({64.5f, 62.75f, 66, 64}, {}, 3);
  EXPECT_EQ(Ids(low), Ids(high));
  EXPECT_EQ(Weights(low), Weights(high));
}

TEST(ChooseTopK, IsSoftmaxWhenAllAreChosen) {
  const std::vector<float> logits = {0.3f, -2, 1.5f};
  const TopKChoice choice = Choose(logits, {}, 3);
  std::vector<float> mass(3);
  ASSERT_TRUE(GateMass(logits, {}, absl::MakeSpan(mass)));
  for (const WeightedExpert& expert : choice.experts) {
    EXPECT_NEAR(expert.weight, mass[expert.expert], 1e-7);
  }
}

TEST(ChooseTopK, LeavesOutMaskedExperts) {
  EXPECT_THAT(Ids(Choose({9, 1, 5, 3}, {0, 1, 0, 1}, 3)), ElementsAre(3, 1));
}

TEST(ChooseTopK, LeavesOutLogitsThatAreNotFiniteAndSaysSo) {
  const TopKChoice choice = Choose({std::nanf(""), 1, kInfinity, -kInfinity}, {}, 4);
  EXPECT_THAT(Ids(choice), ElementsAre(1));
  EXPECT_TRUE(choice.non_finite);
  EXPECT_FALSE(Choose({std::nanf(""), 1}, {0, 1}, 1).non_finite);
}

TEST(ChooseTopK, HasATypedErrorWhenNobodyIsLeft) {
  const std::vector<float> logits = {1, 2};
  const std::vector<uint8_t> none = {0, 0};
  const absl::Status status = ChooseTopK(logits, none, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(IsNoFeasibleExpert(status));
  EXPECT_FALSE(IsNoFeasibleExpert(absl::FailedPreconditionError("else")));
}

TEST(ChooseTopK, WeightsSumToOneForLogitsFarApart) {
  const TopKChoice choice = Choose({-1e30f, 3e4f, 0, 2.9e4f}, {}, 4);
  float sum = 0;
  for (const float weight : Weights(choice)) sum += weight;
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(choice.experts.size(), 4u);
}

TEST(GateMass, IsZeroForMaskedExpertsAndSumsToOne) {
  std::vector<float> mass(3);
  const std::vector<float> logits = {7, 0, 0};
  const std::vector<uint8_t> admissible = {0, 1, 1};
  ASSERT_TRUE(GateMass(logits, admissible, absl::MakeSpan(mass)));
  EXPECT_THAT(mass, ElementsAre(0, 0.5f, 0.5f));
}

TEST(GateMass, SaysWhenNobodyIsLeft) {
  std::vector<float> mass(1);
  const std::vector<float> logits = {std::nanf("")};
  EXPECT_FALSE(GateMass(logits, {}, absl::MakeSpan(mass)));
  EXPECT_THAT(mass, Each(0.0f));
}

TEST(ChooseTopKRows, ChoosesAsTheSingleFormDoes) {
  std::vector<float> logits = {0.1f, 2, 2, -1, 3, 0, -2, 1, -0.5f, -0.5f, -0.5f, -0.5f};
  std::vector<int32_t> ids(6);
  std::vector<float> weights(6);
  const std::vector<float> before = logits;
  const std::vector<uint8_t> admissible = {1, 1, 1, 0};
  const auto statistics = ChooseTopKRows(3, 4, absl::MakeSpan(logits), admissible, 2,
                                         absl::MakeSpan(ids), absl::MakeSpan(weights));
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  EXPECT_THAT(ids, ElementsAre(1, 2, 0, 1, 0, 1));
  const TopKChoice second = Choose({before.begin() + 4, before.begin() + 8}, admissible, 2);
  EXPECT_NEAR(weights[2], second.experts[0].weight, 1e-6);
  EXPECT_NEAR(weights[3], second.experts[1].weight, 1e-6);
}

TEST(ChooseTopK, GivesNoSlotToALogitOfMinusInfinity) {
  const TopKChoice choice = Choose({-kInfinity, 2, -kInfinity}, {}, 2);
  EXPECT_THAT(Ids(choice), ElementsAre(1));
  EXPECT_FALSE(choice.non_finite);
}

TEST(ChooseTopKRows, GivesNoSlotToALogitOfMinusInfinity) {
  std::vector<float> logits = {-kInfinity, 2, -kInfinity, 1, -kInfinity, 1};
  std::vector<int32_t> ids(4);
  std::vector<float> weights(4);
  const auto statistics = ChooseTopKRows(2, 3, absl::MakeSpan(logits), {}, 2, absl::MakeSpan(ids),
                                         absl::MakeSpan(weights));
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  EXPECT_EQ(statistics->non_finite_rows, 0);
  EXPECT_THAT(ids, ElementsAre(1, -1, 0, 2));
  EXPECT_THAT(weights, ElementsAre(1, 0, 0.5f, 0.5f));
}

TEST(ChooseTopKRows, CountsRowsWithoutExpertAndRowsThatAreNotFinite) {
  std::vector<float> logits = {std::nanf(""), kInfinity, 1, std::nanf("")};
  std::vector<int32_t> ids(2);
  std::vector<float> weights(2);
  const auto statistics = ChooseTopKRows(2, 2, absl::MakeSpan(logits), {}, 1, absl::MakeSpan(ids),
                                         absl::MakeSpan(weights));
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  EXPECT_EQ(statistics->non_finite_rows, 2);
  EXPECT_EQ(statistics->rows_without_expert, 1);
  EXPECT_THAT(ids, ElementsAre(-1, 0));
  EXPECT_THAT(weights, ElementsAre(0, 1));
}

}  // namespace
}  // namespace penstock::router
