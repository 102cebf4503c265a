#include "router_service/combining/combiner.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;

using Outputs = std::vector<Tensor>;

Outputs Answer(std::vector<float> p, std::vector<std::string> labels) {
  const int64_t rows = static_cast<int64_t>(labels.size());
  const int64_t width = static_cast<int64_t>(p.size()) / rows;
  return {FloatTensor("p", {rows, width}, p), StringTensor("label", {rows, 1}, labels)};
}

absl::StatusOr<Outputs> Combine(config::v1::Combiner kind, std::vector<ExpertAnswer> answers,
                                const std::string& output = "") {
  config::v1::Pool pool;
  pool.set_combiner(kind);
  pool.set_combined_output(output);
  auto combiner = MakeCombiner(pool);
  if (!combiner.ok()) return combiner.status();
  return (*combiner)->Combine(answers);
}

TEST(BestAnswer, TakesTheLargestWeightAsItIs) {
  const Outputs a = Answer({1, 0}, {"x"}), b = Answer({0.4f, 0.6f}, {"y"});
  const auto best = Combine(config::v1::BEST, {{0, "a", 0.2f, &a}, {1, "b", 0.8f, &b}});
  ASSERT_TRUE(best.ok()) << best.status();
  EXPECT_THAT(*ToFloats((*best)[0]), ElementsAre(0.4f, 0.6f));
  EXPECT_THAT(*ToStrings((*best)[1]), ElementsAre("y"));
}

TEST(BestAnswer, BreaksTiesByLowerExpert) {
  const Outputs a = Answer({1, 0}, {"x"}), b = Answer({0.4f, 0.6f}, {"y"});
  const auto best = Combine(config::v1::BEST, {{4, "b", 0.5f, &b}, {1, "a", 0.5f, &a}});
  EXPECT_THAT(*ToStrings((*best)[1]), ElementsAre("x"));
}

TEST(WeightedSum, SumsTheCombinedOutputAndTakesTheRestFromTheHeaviest) {
  const Outputs a = Answer({1, 2}, {"x"}), b = Answer({5, 10}, {"y"});
  const auto sum = Combine(config::v1::WEIGHTED_SUM, {{0, "a", 0.25f, &a}, {1, "b", 0.75f, &b}});
  ASSERT_TRUE(sum.ok()) << sum.status();
  EXPECT_THAT(*ToFloats((*sum)[0]), ElementsAre(4, 8));
  EXPECT_THAT(*ToStrings((*sum)[1]), ElementsAre("y"));
}

TEST(WeightedSum, ScalesWeightsToOne) {
  const Outputs a = Answer({1}, {"x"}), b = Answer({3}, {"y"});
  const auto sum = Combine(config::v1::WEIGHTED_SUM, {{0, "a", 2, &a}, {1, "b", 6, &b}});
  EXPECT_THAT(*ToFloats((*sum)[0]), ElementsAre(2.5f));
}

TEST(WeightedSum, DoesNotDependOnTheOrderOfAnswers) {
  const Outputs a = Answer({1e8f}, {"x"}), b = Answer({1}, {"y"}), c = Answer({-1e8f}, {"z"});
  const auto one =
      Combine(config::v1::WEIGHTED_SUM, {{0, "a", 1, &a}, {1, "b", 1, &b}, {2, "c", 1, &c}});
  const auto two =
      Combine(config::v1::WEIGHTED_SUM, {{2, "c", 1, &c}, {0, "a", 1, &a}, {1, "b", 1, &b}});
  EXPECT_EQ((*one)[0].data, (*two)[0].data);
}

TEST(WeightedSum, NamesTheExpertOfAnotherShape) {
  const Outputs a = Answer({1, 2}, {"x"}), b = Answer({1, 2, 3}, {"y"});
  const auto sum = Combine(config::v1::WEIGHTED_SUM, {{0, "a", 1, &a}, {1, "b", 1, &b}});
  EXPECT_EQ(sum.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(sum.status().message()),
              HasSubstr("expert \"b\" answered output 0 \"p\" FP32 [1,3], but \"a\""));
}

TEST(WeightedSum, NamesTheExpertOfAnotherType) {
  const Outputs a = Answer({1}, {"x"}),
                b = {FloatTensor("p", {1, 1}, {1}), FloatTensor("label", {1, 1}, {1})};
  EXPECT_THAT(
      std::string(
          Combine(config::v1::WEIGHTED_SUM, {{0, "a", 1, &a}, {1, "b", 1, &b}}).status().message()),
      HasSubstr("\"label\" FP32"));
}

TEST(WeightedSum, NamesTheExpertWhoseValuesAreNotFinite) {
  const Outputs a = Answer({1}, {"x"}), b = Answer({std::nanf("")}, {"y"});
  const auto sum = Combine(config::v1::WEIGHTED_SUM, {{0, "a", 1, &a}, {1, "b", 1, &b}});
  EXPECT_EQ(sum.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(sum.status().message()), HasSubstr("expert \"b\""));
}

TEST(MixtureOfProbabilities, MixesAndRenormalises) {
  // Rows sum to 1 within fp16's precision only.
  const Outputs a = Answer({0.9f, 0.099f}, {"x"}), b = Answer({0.5f, 0.5f}, {"y"});
  const auto mix =
      Combine(config::v1::MIXTURE_OF_PROBABILITIES, {{0, "a", 0.5f, &a}, {1, "b", 0.5f, &b}});
  ASSERT_TRUE(mix.ok()) << mix.status();
  EXPECT_THAT(*ToFloats((*mix)[0]),
              ElementsAre(FloatNear(0.7f / 0.9995f, 1e-6f), FloatNear(0.2995f / 0.9995f, 1e-6f)));
}

TEST(MixtureOfProbabilities, RefusesANegativeProbability) {
  const Outputs a = Answer({1.5f, -0.5f}, {"x"}), b = Answer({0.5f, 0.5f}, {"y"});
  EXPECT_THAT(std::string(Combine(config::v1::MIXTURE_OF_PROBABILITIES,
                                  {{0, "a", 0.5f, &a}, {1, "b", 0.5f, &b}})
                              .status()
                              .message()),
              HasSubstr("expert \"a\": output \"p\" holds -0.5"));
}

TEST(Vote, CountsWeightsPerArgMax) {
  const Outputs a = Answer({0.9f, 0.1f}, {"no"}), b = Answer({0.4f, 0.6f}, {"yes"}),
                c = Answer({0.45f, 0.55f}, {"yes"});
  const auto vote =
      Combine(config::v1::VOTE, {{0, "a", 0.4f, &a}, {1, "b", 0.3f, &b}, {2, "c", 0.3f, &c}});
  ASSERT_TRUE(vote.ok()) << vote.status();
  EXPECT_THAT(*ToFloats((*vote)[0]), ElementsAre(FloatEq(0.4f), FloatEq(0.6f)));
  EXPECT_THAT(*ToStrings((*vote)[1]), ElementsAre("yes"));
}

TEST(Vote, VotesEntryByEntry) {
  const Outputs a = Answer({1, 1}, {"x", "x"}), b = Answer({1, 1}, {"y", "x"}),
                c = Answer({1, 1}, {"y", "z"});
  const auto vote = Combine(config::v1::VOTE, {{0, "a", 1, &a}, {1, "b", 1, &b}, {2, "c", 1, &c}});
  EXPECT_THAT(*ToStrings((*vote)[1]), ElementsAre("y", "x"));
}

TEST(Vote, BreaksTiesByLowerExpert) {
  const Outputs a = Answer({1}, {"x"}), b = Answer({1}, {"y"});
  const auto vote = Combine(config::v1::VOTE, {{1, "b", 0.5f, &b}, {0, "a", 0.5f, &a}});
  EXPECT_THAT(*ToStrings((*vote)[1]), ElementsAre("x"));
}

TEST(Vote, VotesOnIntegers) {
  const auto ids = [](int32_t value) {
    return Outputs{Tensor{
        "id", DataType::kInt32, {1}, Bytes(std::string(reinterpret_cast<const char*>(&value), 4))}};
  };
  const Outputs a = ids(7), b = ids(9), c = ids(9);
  const auto vote =
      Combine(config::v1::VOTE, {{0, "a", 0.4f, &a}, {1, "b", 0.3f, &b}, {2, "c", 0.3f, &c}});
  ASSERT_TRUE(vote.ok()) << vote.status();
  EXPECT_THAT(*ToFloats((*vote)[0]), ElementsAre(9));
}

TEST(Combiner, RefusesNoAnswer) {
  EXPECT_EQ(Combine(config::v1::BEST, {}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Combine(config::v1::VOTE, {}).status().code(), absl::StatusCode::kInternal);
}

TEST(CombinedOutput, IsTheNamedOneOrTheFirstFloat) {
  const Outputs outputs = {StringTensor("label", {1}, {"x"}), FloatTensor("p", {1}, {1}),
                           FloatTensor("q", {1}, {1})};
  EXPECT_EQ(CombinedOutput(outputs, ""), 1);
  EXPECT_EQ(CombinedOutput(outputs, "q"), 2);
  EXPECT_EQ(CombinedOutput(outputs, "r"), -1);
}

}  // namespace
}  // namespace penstock::router
