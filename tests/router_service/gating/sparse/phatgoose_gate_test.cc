#include "router_service/gating/sparse/phatgoose_gate.h"

#include <cmath>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kFeatures = 6;

std::vector<double> Draw(uint64_t sequence) {
  CounterRandom random(31, sequence);
  std::vector<double> values(kFeatures);
  for (double& value : values) value = 2 * random.Uniform() - 1;
  return values;
}

double ScoreOf(const std::vector<double>& v, const std::vector<double>& u) {
  return PhatgooseScore(StandardScores(v), StandardScores(u));
}

std::vector<float> Floats(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

// Of experts a to d, drawn as 0 to 3.
std::string Vectors() {
  std::vector<float> vectors;
  for (uint64_t i = 0; i < 4; ++i) {
    const std::vector<float> v = Floats(Draw(i));
    vectors.insert(vectors.end(), v.begin(), v.end());
  }
  return WriteGate("phatgoose", {{"vectors", {4, kFeatures}, vectors}});
}

std::string Published(const std::vector<float>& vector) {
  return WriteGate("phatgoose_vector", {{"vector", {static_cast<int64_t>(vector.size())}, vector}});
}

config::v1::Gate Config(const std::string& file) {
  config::v1::Gate config;
  config.mutable_phatgoose()->set_file(file);
  return config;
}

std::vector<float> Logits(const Gate& gate, const std::vector<double>& z) {
  std::vector<float> logits(gate.experts());
  CounterRandom random(1, 1);
  gate.Score(Floats(z), {}, random, absl::MakeSpan(logits));
  return logits;
}

TEST(PhatgooseScore, DoesNotChangeUnderScaleAndShiftOfTheVector) {
  for (uint64_t i = 0; i < 20; ++i) {
    const std::vector<double> v = Draw(i), u = Draw(100 + i);
    std::vector<double> moved = v;
    for (double& value : moved) value = 7.5 * value + 3;
    EXPECT_NEAR(ScoreOf(moved, u), ScoreOf(v, u), 1e-14);
  }
}

TEST(PhatgooseScore, IsAtMostTheRootOfTheDimension) {
  const double most = std::sqrt(static_cast<double>(kFeatures));
  for (uint64_t i = 0; i < 200; ++i) {
    EXPECT_LE(std::abs(ScoreOf(Draw(i), Draw(1000 + i))), most);
  }
  EXPECT_NEAR(ScoreOf(Draw(3), Draw(3)), most, 1e-12);
}

TEST(StandardScores, AreZeroWhereEntriesDoNotVary) {
  EXPECT_THAT(StandardScores(std::vector<double>{3, 3, 3}), ElementsAre(0, 0, 0));
  EXPECT_THAT(StandardScores(std::vector<double>{1, 3}), ElementsAre(-1, 1));
}

TEST(PhatgooseGate, OneMoreExpertChangesNobodyElsesScore) {
  const std::vector<float> three =
      Logits(*Made(Config(Vectors()), {"a", "b", "c"}, kFeatures), Draw(50));
  const std::vector<float> four =
      Logits(*Made(Config(Vectors()), {"a", "b", "c", "d"}, kFeatures), Draw(50));
  EXPECT_EQ(std::vector<float>(four.begin(), four.begin() + 3), three);
  config::v1::Gate config = Config(Vectors());
  (*config.mutable_phatgoose()->mutable_vectors())["new"] = Published(Floats(Draw(9)));
  const std::vector<float> registered =
      Logits(*Made(config, {"a", "b", "c", "new"}, kFeatures), Draw(50));
  EXPECT_EQ(std::vector<float>(registered.begin(), registered.begin() + 3), three);
  EXPECT_NEAR(registered[3], ScoreOf(Draw(9), Draw(50)), 1e-5);
}

TEST(PhatgooseGate, RunsTwoExpertsUnlessToldOtherwise) {
  EXPECT_EQ(Made(Config(Vectors()), {"a", "b", "c"}, kFeatures)->k(), 2u);
  EXPECT_EQ(Made(Config(Vectors()), {"a"}, kFeatures)->k(), 1u);
}

TEST(PhatgooseGate, KOneIsTheLargestScore) {
  config::v1::Gate config = Config(Vectors());
  config.mutable_phatgoose()->set_k(1);
  const auto gate = Made(config, {"a", "b", "c", "d"}, kFeatures);
  for (uint64_t i = 0; i < 20; ++i) {
    const std::vector<float> logits = Logits(*gate, Draw(i));
    const auto choice = ChooseTopK(logits, {}, gate->k());
    ASSERT_TRUE(choice.ok());
    ASSERT_EQ(choice->experts.size(), 1u);
    EXPECT_EQ(logits[choice->experts[0].expert], *std::max_element(logits.begin(), logits.end()));
    if (i >= 4) continue;
    EXPECT_EQ(choice->experts[0].expert, i);  // a vector is nearest to itself
  }
}

TEST(PhatgooseGate, NeedsNoCommonFile) {
  config::v1::Gate config;
  auto& vectors = *config.mutable_phatgoose()->mutable_vectors();
  vectors["x"] = Published({1, -1});
  vectors["y"] = Published({-1, 1});
  const auto gate = Made(config, {"x", "y"}, 2);
  EXPECT_GT(Mass(*gate, {3, 1})[0], 0.9f);
  ExpectRowsLikeRequests(*gate, {3, 1, 1, 1, 0, 4});
}

TEST(PhatgooseGate, StandardisesFeaturesAsTheFileSays) {
  const std::string file = WriteGate("phatgoose", {{"vectors", {4, 2}, {1, -1, -1, 1, 1, 0, 0, 1}},
                                                   {"mean", {2}, {100, 0}},
                                                   {"inverse_scale", {2}, {0.1f, 1}}});
  const auto gate = Made(Config(file), {"a", "b"}, 2);
  EXPECT_GT(Mass(*gate, {120, 1})[0], 0.9f);  // (2, 1)
  EXPECT_LT(Mass(*gate, {100, 1})[0], 0.1f);  // (0, 1)
}

TEST(PhatgooseGate, RefusesVectorsThatDoNotFit) {
  config::v1::Gate config;
  auto& vectors = *config.mutable_phatgoose()->mutable_vectors();
  vectors["a"] = Published({1, 2, 3});
  EXPECT_THAT(Refusal(config, {"a"}, 2), HasSubstr("vector"));
  vectors["a"] = Published({5, 5});
  EXPECT_THAT(Refusal(config, {"a"}, 2), HasSubstr("do not vary"));
  vectors["a"] = Vectors();
  EXPECT_THAT(Refusal(config, {"a"}, kFeatures), HasSubstr("wanted \"phatgoose_vector\""));
  vectors["a"] = Published({1, 2});
  EXPECT_THAT(Refusal(config, {"a", "b"}, 2),
              HasSubstr("gate.phatgoose.vectors: wanted a file for b, or file set, got none"));
  EXPECT_THAT(Refusal(config, {"b"}, 2),
              HasSubstr("gate.phatgoose.vectors: wanted experts of the pool, got a"));
}

}  // namespace
}  // namespace penstock::router
