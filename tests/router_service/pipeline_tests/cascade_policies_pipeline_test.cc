#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// small (0.1 J), middle (0.5 J), big (1 J). Standing small is right as often as it says, big with
// .95.
class CascadePolicies : public RouterFixture {
 protected:
  static constexpr char kThreeExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: small, replicas: [{address: "small:1"}]}
  - {name: middle, replicas: [{address: "middle:1"}]}
  - {name: big, replicas: [{address: "big:1"}]}
  features: {tensor_pooling: {input: x}}
)";

  void BuildWith(const std::vector<SafetensorsTensor>& tensors,
                 std::map<std::string, std::string> metadata, const std::string& cascade = "",
                 const std::string& more = "") {
    Build(Yaml(tensors, std::move(metadata), cascade, more));
    Target("middle:1").AnswerWith(MakeReply(1, 0.9f, 0.5));
    Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  }

  std::string Yaml(const std::vector<SafetensorsTensor>& tensors,
                   std::map<std::string, std::string> metadata, const std::string& cascade = "",
                   const std::string& more = "") {
    Replica("middle:1").facts = ModelFacts(0.005, 0.5);
    std::vector<float> weight(3 * 3 * 3, 0);
    weight[1] = 1;              // (small, small)
    weight[2 * 3] = 2.944439f;  // (small, big): logit .95
    std::vector<SafetensorsTensor> all = {{"weight", {3, 3, 3}, weight},
                                          {"can_stand", {3}, {1, 1, 1}}};
    all.insert(all.end(), tensors.begin(), tensors.end());
    metadata["experts"] = R"(["small","middle","big"])";
    const std::string path = dir_.File("policy.safetensors");
    EXPECT_THAT(WriteSafetensors(path, all, metadata), IsOk());
    return absl::StrCat(kThreeExperts, "  cascade: {first: small, file: ", path, cascade, "}\n",
                        more);
  }

  // Who answers where small is so sure.
  std::string Answered(float small, std::vector<OutParameter> parameters = {}, int64_t rows = 1) {
    Target("small:1").AnswerWith(MakeReply(rows, small, 0.1));
    return Text(Ask(MakeRequest(rows, std::move(parameters))), "penstock_experts");
  }
  std::vector<std::string> Reasons() const {
    const v1::Decision decision = Last();
    std::vector<std::string> reasons;
    for (const v1::Run& run : decision.runs()) {
      reasons.push_back(absl::StrCat(run.expert(), " ", run.reason()));
    }
    return reasons;
  }
};

TEST_F(CascadePolicies, ATableSendsOnTheMiddleAndKeepsBothEnds) {
  BuildWith({{"edges", {2}, {0.6f, 0.8f}}, {"goes_on", {3}, {0, 1, 0}}},
            {{"policy", "automix"}, {"stages", "small,big"}});
  EXPECT_EQ(Answered(0.55f), "small");
  EXPECT_EQ(Answered(0.7f), "big");
  EXPECT_THAT(Last().reason(), HasSubstr("the table of its confidence says so"));
  EXPECT_EQ(Answered(0.9f), "small");
  EXPECT_EQ(Last().runs_size(), 1);
}

TEST_F(CascadePolicies, ExitGatesLetGoStageByStage) {
  // Leave from a largest probability of 3/4 on.
  const std::vector<float> gate = {20, 0, 0, 0, -15};
  std::vector<float> weight = gate;
  weight.insert(weight.end(), gate.begin(), gate.end());
  BuildWith({{"exit_weight", {2, 5}, weight}}, {{"policy", "jei"}, {"stages", "small,middle,big"}},
            ", max_escalations: 2");
  EXPECT_EQ(Answered(0.9f), "small");
  EXPECT_EQ(Answered(0.6f), "middle");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle escalation"));
  Target("middle:1").AnswerWith(MakeReply(1, 0.6f, 0.5));
  EXPECT_EQ(Answered(0.6f), "big");
}

TEST_F(CascadePolicies, ABypassDecidesBeforeAnythingRuns) {
  // z is 0 for one row, 1/2 for two.
  BuildWith({{"bypass_weight", {4}, {-5, -5, 0, 0}},
             {"bypass_bias", {1}, {2}},
             {"bypass_least", {1}, {0.5f}}},
            {{"policy", "bypass"}, {"stages", "small,big"}});
  EXPECT_EQ(Answered(0.55f), "small");  // however unsure it is
  EXPECT_EQ(Last().runs_size(), 1);
  Target("big:1").AnswerWith(MakeReply(2, 0.99f, 1.0));
  EXPECT_EQ(Answered(0.99f, {}, 2), "big");
  EXPECT_THAT(Reasons(), ElementsAre("big chosen"));
  EXPECT_THAT(Last().reason(), HasSubstr("ask for more than small"));
  EXPECT_EQ(Last().degraded(), "");
}

TEST_F(CascadePolicies, ABypassThatThereIsNoTimeForFallsBackToTheFirst) {
  BuildWith({{"bypass_weight", {4}, {0, 0, 0, 0}},
             {"bypass_bias", {1}, {-2}},
             {"bypass_least", {1}, {0.5f}}},
            {{"policy", "bypass"}, {"stages", "small,big"}});
  EXPECT_EQ(Answered(0.55f, {{"penstock_latency_budget_ms", 5.0}}), "small");
  EXPECT_EQ(Last().degraded(), "deadline");
  EXPECT_EQ(Answered(0.55f, {{"penstock_energy_budget_j", 0.5}}), "small");
  EXPECT_EQ(Last().degraded(), "");  // no less than was asked
  EXPECT_TRUE(Target("big:1").calls().empty());
}

TEST_F(CascadePolicies, TheBudgetBindsABypass) {
  BuildWith({{"bypass_weight", {4}, {0, 0, 0, 0}},
             {"bypass_bias", {1}, {-2}},
             {"bypass_least", {1}, {0.5f}}},
            {{"policy", "bypass"}, {"stages", "small,big"}}, "",
            "  budgets: [{resource: JOULES, amount: 0.3, per: REQUEST}]\n");
  double joules = 0;
  std::string degraded;
  for (int i = 0; i < 50; ++i) {
    Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
    const InferReply reply = Ask(MakeRequest());
    joules += Number(reply, "penstock_energy_j");
    absl::StrAppend(&degraded, Text(reply, "penstock_degraded"), " ");
  }
  EXPECT_LE(joules, 50 * 0.3 * 1.3);
  EXPECT_THAT(degraded, HasSubstr("budget"));
  EXPECT_GT(Target("big:1").calls().size(), 0u);
}

TEST_F(CascadePolicies, ABypassOfOtherFeaturesIsRefused) {
  config::v1::Router config;
  const std::string contract =
      "  inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]\n"
      "  outputs: [{name: p, datatype: FP32, shape: [-1, 2]}]\n  batched: true\n";
  ASSERT_THAT(ReadYaml(Yaml({{"bypass_weight", {3}, {0, 0, 0}},
                             {"bypass_bias", {1}, {-2}},
                             {"bypass_least", {1}, {0.5f}}},
                            {{"policy", "bypass"}, {"stages", "small,big"}}, "", contract),
                       config),
              IsOk());
  EXPECT_THAT(
      PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("reads 3 features, but the pool's have 4")));
}

TEST_F(CascadePolicies, BadCalibrationLeavesTheDecisionToAFixedConfidence) {
  // small's own pair is off by .2; next comes big, below .8.
  std::vector<float> ece(9, 0.01f);
  ece[0] = 0.2f;
  BuildWith(
      {{"ece", {3, 3}, ece}, {"fixed_from", {3}, {0.8f, 0, 0}}, {"fixed_next", {3}, {2, 1, 2}}},
      {});
  EXPECT_EQ(Answered(0.85f), "small");  // big would be worth it at no price
  EXPECT_EQ(Answered(0.75f), "big");
  EXPECT_THAT(Last().reason(), HasSubstr("not as sure as the file asks"));
  const std::vector<std::string>& warnings = catalogue_->Find("pool")->rooms->warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("small standing is 0.2, wanted at most 0.05"));
}

TEST_F(CascadePolicies, TwoThatSendARequestToEachOtherAreAskedOnceEach) {
  const std::vector<float> ece(9, 0.2f);
  BuildWith({{"ece", {3, 3}, ece},
             {"fixed_from", {3}, {0.95f, 0.95f, 0}},
             {"fixed_next", {3}, {1, 0, 2}}},
            {}, ", max_escalations: 2");
  EXPECT_EQ(Answered(0.75f), "middle");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle escalation"));
  EXPECT_EQ(Last().degraded(), "");
  Target("middle:1").SetHealthy(false);
  EXPECT_EQ(Answered(0.75f), "small");
  EXPECT_EQ(Last().degraded(), "expert_failed");
}

TEST_F(CascadePolicies, AnOptionThatIsBadlyCalibratedIsNotWeighed) {
  std::vector<float> ece(9, 0.01f);
  ece[2] = 0.2f;  // (small, big)
  BuildWith({{"ece", {3, 3}, ece}, {"fixed_from", {3}, {0, 0, 0}}, {"fixed_next", {3}, {0, 1, 2}}},
            {});
  EXPECT_EQ(Answered(0.75f), "small");  // middle is believed to be right with 1/2
  EXPECT_THAT(catalogue_->Find("pool")->rooms->warnings, IsEmpty());
}

// middle verifies. Where it agrees, small is right with .99, else with .01 and middle with
// `else_middle`.
class SecondOpinion : public CascadePolicies {
 protected:
  void BuildChecked(const std::string& check, float else_middle = 0.5f,
                    const std::string& more = "") {
    Build(CheckedYaml(check, else_middle, more));
    Target("middle:1").AnswerWith(MakeReply(1, 0.9f, 0.5));
    Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  }
  std::string CheckedYaml(const std::string& check, float else_middle = 0.5f,
                          const std::string& more = "") {
    std::vector<float> slow(3 * 3 * 6, 0);
    slow[5] = 4.595120f;                                       // (small, small): agreement
    slow[6 + 5] = -std::log(else_middle / (1 - else_middle));  // (small, middle)
    slow[2 * 6] = 2.944439f;                                   // (small, big)
    return Yaml({{"slow_weight", {3, 3, 6}, slow}, {"slow_knows", {3}, {1, 0, 0}}},
                {{"verifier", "middle"}}, absl::StrCat(", slow_check: {", check, "}"), more);
  }
};

TEST_F(SecondOpinion, ThatAgreesLetsTheAnswerStand) {
  BuildChecked("verifier: middle");  // delta .1
  EXPECT_EQ(Answered(0.9f), "small");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle verification"));
  EXPECT_EQ(Last().degraded(), "");
  EXPECT_DOUBLE_EQ(Last().energy_j(), 0.6);
  EXPECT_NEAR(Last().runs(0).confidence(), 0.99, 1e-3);
}

TEST_F(SecondOpinion, ThatDisagreesAsksTheDearerExpert) {
  BuildChecked("verifier: middle");
  Target("middle:1").AnswerWith(MakeReply(1, 0.2f, 0.5));
  EXPECT_EQ(Answered(0.9f), "big");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle verification", "big escalation"));
}

TEST_F(SecondOpinion, MayBeTheAnswer) {
  BuildChecked("verifier: middle", 0.97f);
  Target("middle:1").AnswerWith(MakeReply(1, 0.2f, 0.5));
  EXPECT_EQ(Answered(0.9f), "middle");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle escalation"));
  EXPECT_TRUE(Target("big:1").calls().empty());
  EXPECT_EQ(Last().degraded(), "");
}

TEST_F(SecondOpinion, IsAskedForOnBothSidesOfTheBoundaryAndNowhereElse) {
  BuildChecked("verifier: middle, delta: 0.03");
  EXPECT_EQ(Answered(0.9f), "big");  // a gain of .05
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "big escalation"));
  EXPECT_EQ(Answered(0.93f), "small");  // .02
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle verification"));
  EXPECT_EQ(Answered(0.97f), "small");  // -.02
  EXPECT_THAT(Reasons(), ElementsAre("small chosen", "middle verification"));
  EXPECT_EQ(Answered(0.99f), "small");  // -.04
  EXPECT_THAT(Reasons(), ElementsAre("small chosen"));
}

TEST_F(SecondOpinion, IsNeverAskedForAtADeltaOfZero) {
  BuildChecked("verifier: middle, delta: 0");
  for (const float sure : {0.9f, 0.94f, 0.95f, 0.96f}) Answered(sure);
  EXPECT_TRUE(Target("middle:1").calls().empty());
}

TEST_F(SecondOpinion, ThatFailsLeavesTheFastDecision) {
  BuildChecked("verifier: middle");
  Target("middle:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  EXPECT_EQ(Answered(0.9f), "big");
  EXPECT_EQ(Last().degraded(), "");
  EXPECT_EQ(Answered(0.97f), "small");
  EXPECT_EQ(Last().degraded(), "");
}

TEST_F(SecondOpinion, IsNotAskedForWithoutRoom) {
  BuildChecked("verifier: middle");
  EXPECT_EQ(Answered(0.97f, {{"penstock_energy_budget_j", 0.55}}), "small");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen"));
  EXPECT_EQ(Answered(0.97f, {{"penstock_latency_budget_ms", 4.0}}), "small");
  EXPECT_THAT(Reasons(), ElementsAre("small chosen"));
  EXPECT_TRUE(Target("middle:1").calls().empty());
}

TEST_F(SecondOpinion, ComesFromTheExpertThatTheFileKnows) {
  config::v1::Router config;
  const std::string contract =
      "  inputs: [{name: x, datatype: FP32, shape: [-1, 4]}]\n"
      "  outputs: [{name: p, datatype: FP32, shape: [-1, 2]}]\n  batched: true\n";
  ASSERT_THAT(ReadYaml(CheckedYaml("verifier: big", 0.5f, contract), config), IsOk());
  EXPECT_THAT(PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("verifier is \"big\", but cascade.file knows middle")));
}

class CountedExperts : public RouterFixture {
 protected:
  // Two experts where z, the mean of the rows' numbers, exceeds 1/4.
  void BuildCounted() {
    const std::string path = dir_.File("count.safetensors");
    ASSERT_THAT(WriteSafetensors(path,
                                 {{"count_weight", {2, 4}, {0, 0, 0, 0, 1, 0, 0, 0}},
                                  {"count_bias", {2}, {0.25f, 0}}},
                                 {}),
                IsOk());
    Build(absl::StrCat(kTwoExperts, "  features: {tensor_pooling: {input: x}}\n",
                       "  combiner: VOTE\n  selection: {max_experts: 2, count_file: ", path,
                       "}\n"));
  }
  std::string Asked(int64_t rows) {
    Target("small:1").AnswerWith(MakeReply(rows, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(rows, 0.99f, 1.0));
    const InferReply reply = Ask(MakeRequest(rows));
    EXPECT_THAT(reply.status, IsOk());
    return Text(reply, "penstock_experts");
  }
};

TEST_F(CountedExperts, AreAsManyAsTheFeaturesAskFor) {
  BuildCounted();
  EXPECT_EQ(Asked(1), "big");
  const std::string both = Asked(2);
  EXPECT_THAT(both, HasSubstr("small"));
  EXPECT_THAT(both, HasSubstr("big"));
}

TEST_F(CountedExperts, TheFewerAreAmongTheMore) {
  BuildCounted();
  const std::string one = Asked(1);
  ASSERT_FALSE(one.empty());
  EXPECT_THAT(Asked(2), HasSubstr(one));
}

TEST_F(CountedExperts, TheCallersLimitHoldsToo) {
  BuildCounted();
  Target("small:1").AnswerWith(MakeReply(2, 0.9f, 0.1));
  Target("big:1").AnswerWith(MakeReply(2, 0.99f, 1.0));
  const InferReply reply = Ask(MakeRequest(2, {{"penstock_max_experts", int64_t{1}}}));
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
}

}  // namespace
}  // namespace penstock::router
