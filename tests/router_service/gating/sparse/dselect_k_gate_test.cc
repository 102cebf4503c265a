#include "router_service/gating/sparse/dselect_k_gate.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/gating/sparse/gate_fixture.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

const std::vector<std::string> kAll = {"a", "b", "c", "d"};

config::v1::Gate Config(const std::string& file) {
  config::v1::Gate config;
  config.mutable_dselect_k()->set_file(file);
  return config;
}

// One selector whose two bits are z itself.
std::string Identity() {
  return WriteGate(
      "dselect_k",
      {{"bits", {1, 2, 2}, {1, 0, 0, 1}}, {"selectors", {1, 2}, {0, 0}}, {"width", {1}, {1}}});
}

// Two selectors: bits z0 z0 and z1 z1, logits z0 + 0.5 and z1.
std::string Pair() {
  return WriteGate("dselect_k", {{"bits", {2, 2, 2}, {1, 0, 1, 0, 0, 1, 0, 1}},
                                 {"selectors", {2, 2}, {1, 0, 0, 1}},
                                 {"selectors_bias", {2}, {0.5f, 0}},
                                 {"width", {1}, {1}}});
}

TEST(DselectKGate, NamesTheExpertOfItsBits) {
  const auto gate = Made(Config(Identity()), kAll, 2);
  EXPECT_THAT(Mass(*gate, {0.6f, -0.6f}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(Mass(*gate, {0.25f, -0.25f}), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(Mass(*gate, {0, 0}), ElementsAre(1, 0, 0, 0));
  EXPECT_EQ(gate->k(), 1u);
}

TEST(DselectKGate, HasAtMostKExpertsOfWeight) {
  const auto gate = Made(Config(Pair()), kAll, 2);
  EXPECT_EQ(gate->k(), 2u);
  EXPECT_THAT(Mass(*gate, {-0.5f, 1}),
              ElementsAre(FloatNear(0.268941f, 1e-6f), 0, 0, FloatNear(0.731059f, 1e-6f)));
}

TEST(DselectKGate, SelectorsThatNameOneExpertAreOneExpert) {
  EXPECT_THAT(Mass(*Made(Config(Pair()), kAll, 2), {1, 2}), ElementsAre(0, 0, 0, 1));
}

TEST(DselectKGate, AnExpertThatMustNotAnswerIsReplacedByTheMostProbable) {
  const auto gate = Made(Config(Identity()), kAll, 2);
  // Code 2 is out. Bits of probability .97 and .35 give .02, .01 and .34 to 0, 1 and 3; .84 and .10
  // give .14, .02 and .09.
  EXPECT_THAT(Mass(*gate, {0.4f, -0.1f}, {1, 1, 0, 1}), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(Mass(*gate, {0.25f, -0.3f}, {1, 1, 0, 1}), ElementsAre(1, 0, 0, 0));
  // Saturated: all others have probability 0, and 3 differs in the bit that is nearer to 0.
  EXPECT_THAT(Mass(*gate, {2, -1}, {1, 1, 0, 1}), ElementsAre(0, 0, 0, 1));
}

TEST(DselectKGate, CodesAreTheFilesWhateverThePoolsOrder) {
  const auto gate = Made(Config(Identity()), {"d", "c"}, 2);
  EXPECT_THAT(Mass(*gate, {0.6f, -0.6f}), ElementsAre(0, 1));
  EXPECT_THAT(Mass(*gate, {0.6f, 0.6f}), ElementsAre(1, 0));
  EXPECT_THAT(Mass(*gate, {-0.6f, -0.1f}), ElementsAre(0, 1));  // 0 is not in the pool
}

TEST(DselectKGate, InadmissibleExpertsHaveMinusInfinity) {
  const auto gate = Made(Config(Identity()), kAll, 2);
  std::vector<float> logits(4);
  CounterRandom random(1, 1);
  const std::vector<uint8_t> none = {0, 0, 0, 0};
  gate->Score({1, 1}, none, random, absl::MakeSpan(logits));
  EXPECT_THAT(logits, testing::Each(-std::numeric_limits<float>::infinity()));
}

TEST(DselectKGate, PrefersNobodyWhereFeaturesAreNotFinite) {
  const auto gate = Made(Config(Pair()), kAll, 2);
  EXPECT_THAT(Mass(*gate, {std::nanf(""), 1}, {1, 1, 0, 0}), ElementsAre(0.5f, 0.5f, 0, 0));
}

TEST(DselectKGate, FillsNoSlotWithAnExpertWithoutWeight) {
  const auto gate = Made(Config(Pair()), kAll, 2);
  std::vector<float> logits(4);
  CounterRandom random(1, 1);
  gate->Score({1, 2}, {}, random, absl::MakeSpan(logits));
  const auto choice = ChooseTopK(logits, {}, gate->k());
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->experts.size(), 1u);
  EXPECT_FALSE(choice->non_finite);
}

TEST(DselectKGate, ScoresARowAsItScoresARequest) {
  ExpectRowsLikeRequests(*Made(Config(Pair()), kAll, 2), {0.1f, 0.2f, -7, 3, 0.5f, -0.25f});
}

TEST(DselectKGate, RefusesFilesThatDoNotFit) {
  EXPECT_THAT(Refusal(Config(Identity()), kAll, 3),
              HasSubstr("was trained on 2 features, but the pool's features give 3"));
  EXPECT_THAT(Refusal(Config(Identity()), {"a", "e"}, 2), HasSubstr("knows no expert \"e\""));
  EXPECT_THAT(Refusal(Config(WriteGate("comet", {{"width", {1}, {1}}})), kAll, 2),
              HasSubstr("metadata \"kind\" is \"comet\", wanted \"dselect_k\""));
  EXPECT_THAT(Refusal(Config(WriteGate("dselect_k", {{"bits", {1, 3, 2}, {1, 0, 0, 1, 0, 0}},
                                                     {"selectors", {1, 2}, {0, 0}},
                                                     {"width", {1}, {1}}})),
                      kAll, 2),
              HasSubstr("bits"));
  EXPECT_THAT(Refusal(Config(WriteGate("dselect_k", {{"bits", {1, 2, 2}, {1, 0, 0, NAN}},
                                                     {"selectors", {1, 2}, {0, 0}},
                                                     {"width", {1}, {1}}})),
                      kAll, 2),
              HasSubstr("tensor bits has values that are not finite"));
  EXPECT_THAT(Refusal(Config(WriteGate("dselect_k", {{"bits", {1, 2, 2}, {1, 0, 0, 1}},
                                                     {"selectors", {1, 2}, {0, 0}},
                                                     {"width", {1}, {0}}})),
                      kAll, 2),
              HasSubstr("width is 0, wanted above 0"));
}

}  // namespace
}  // namespace penstock::router
