#include "nlohmann/json.hpp"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

class GuardsPipeline : public RouterFixture {
 protected:
  // h = (x0 + 0.5, -x0): at x = 0 the margin is 0.5 and the weights are 2 apart.
  std::string GateFile() {
    const std::string path = dir_.File("gate.safetensors");
    EXPECT_THAT(WriteSafetensors(
                    path, {{"weight", {2, 4}, {1, 0, 0, 0, -1, 0, 0, 0}}, {"bias", {2}, {0.5f, 0}}},
                    {{"experts", R"(["small","big"])"}}),
                IsOk());
    return path;
  }
  std::string GatedPool(const std::string& more) {
    return absl::StrCat(
        kTwoExperts, "  features: {tensor_pooling: {}}\n  gate: {topk_softmax: {file: ", GateFile(),
        "}}\n  selection: {score: GATE_MASS}\n", more);
  }
  void Answer() {
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  }
  void AskBigTwice() {
    const InferRequest request = MakeRequest(1, {{"penstock_experts", std::string("big")}});
    for (int i = 0; i < 2; ++i) EXPECT_THAT(Ask(request, ForcedRights()).status, IsOk());
  }
};

TEST_F(GuardsPipeline, ADecisionSaysHowFarItsFeaturesMayMove) {
  Build(GatedPool("  guards: {certify: true}\n"));
  Answer();
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  ASSERT_TRUE(Last().has_certified_radius());
  EXPECT_NEAR(Last().certified_radius(), 0.25, 1e-5);
}

TEST_F(GuardsPipeline, AChoiceThatAPriceMadeIsNotCertified) {
  Build(GatedPool("  guards: {certify: true}\n"));
  Answer();
  // The caller's choice is none of the gate's.
  InferRequest request = MakeRequest(1, {{"penstock_experts", std::string("big")}});
  EXPECT_THAT(Ask(request, ForcedRights()).status, IsOk());
  EXPECT_EQ(Last().runs(0).expert(), "big");
  EXPECT_FALSE(Last().has_certified_radius());
}

TEST_F(GuardsPipeline, WithoutTheGuardNothingIsCertified) {
  Build(GatedPool(""));
  Answer();
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_FALSE(Last().has_certified_radius());
}

// Two joules an hour, both spent on the caller's own choice of `big`.
constexpr char kBudget[] = "  budgets: [{resource: JOULES, amount: 2, per: HOUR}]\n";

TEST_F(GuardsPipeline, ASpentBudgetTakesADearExpertAway) {
  Build(absl::StrCat(kTwoExperts, kBudget));
  Answer();
  AskBigTwice();
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Last().candidates(1).expert(), "big");
  EXPECT_EQ(Last().candidates(1).excluded(), "budget");
}

TEST_F(GuardsPipeline, ASpentBudgetLeavesAMandatoryExpertIn) {
  Build(absl::StrCat(kTwoExperts, kBudget, "  guards: {mandatory_experts: [big]}\n"));
  Answer();
  AskBigTwice();
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Last().candidates(1).expert(), "big");
  EXPECT_EQ(Last().candidates(1).excluded(), "");
}

// Scores as a JSON decision of the answer has them.
nlohmann::json Decision(const std::string& text) {
  return nlohmann::json::parse(text, nullptr, false);
}

TEST_F(GuardsPipeline, ScoresAreRoundedForWhoHasNoAdminRight) {
  Build(R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8037, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.9561, replicas: [{address: "big:1"}]}
)");
  Answer();
  const InferRequest request = MakeRequest(1, {{"penstock_explain", true}});
  const auto coarse = Decision(Text(Ask(request), "penstock_decision"));
  ASSERT_TRUE(coarse.is_object());
  EXPECT_EQ(coarse["candidates"][0]["quality"], 0.8);
  EXPECT_EQ(coarse["candidates"][1]["quality"], 0.96);
  // The log keeps what was.
  EXPECT_NEAR(Last().candidates(0).quality(), 0.8037, 1e-6);
  const auto exact = Decision(Text(Ask(request, Rights({.admin = true})), "penstock_decision"));
  ASSERT_TRUE(exact.is_object());
  EXPECT_NEAR(exact["candidates"][1]["quality"].get<double>(), 0.9561, 1e-6);
}

TEST_F(GuardsPipeline, ACoarseDecisionHasNoMarginAndNoFeatures) {
  Build(GatedPool("  guards: {certify: true}\n"));
  Answer();
  const InferRequest request = MakeRequest(1, {{"penstock_explain", true}});
  EXPECT_THAT(Text(Ask(request), "penstock_decision"),
              ::testing::Not(HasSubstr("certified_radius")));
  EXPECT_THAT(Text(Ask(request, Rights({.admin = true})), "penstock_decision"),
              HasSubstr("certified_radius"));
}

TEST_F(GuardsPipeline, TwoExpertsOfTwoDomainsAreSmoothed) {
  const std::string path = dir_.File("domain.safetensors");
  std::vector<float> weight(10, 0);
  EXPECT_THAT(WriteSafetensors(path,
                               {{"weight", {10}, weight},
                                {"bias", {1}, {0}},
                                {"temperature", {1}, {1}},
                                {"threshold", {1}, {0}}},
                               {{"kind", "domain_smoothing"}}),
              IsOk());
  Build(absl::StrCat(kTwoExperts,
                     "  selection: {max_experts: 2}\n  combiner: SMOOTHED_DOMAINS\n"
                     "  domain_smoothing: {in_domain: small, general: big, in_domain_labels: [0], "
                     "file: ",
                     path, "}\n"));
  Answer();
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  // One label a group and P_U = 1/2: each group is sure of its only label.
  EXPECT_THAT(Floats(reply, "p"), ::testing::ElementsAre(0.5f, 0.5f));
  EXPECT_EQ(Last().runs_size(), 2);
}

TEST_F(GuardsPipeline, AMajorityCountsHeads) {
  Replica("third:1").facts = ModelFacts(0.001, 0.1);
  Build(R"(
pools:
- name: pool
  selection: {max_experts: 3}
  combiner: MAJORITY
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
  - {name: third, quality: 0.8, replicas: [{address: "third:1"}]}
)");
  Target("small:1").AnswerWith(MakeReply(1, 0.1f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  Target("third:1").AnswerWith(MakeReply(1, 0.2f, 0.1));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"),
              ::testing::ElementsAre(::testing::FloatEq(1.0f / 3), ::testing::FloatEq(2.0f / 3)));
}

}  // namespace
}  // namespace penstock::router
