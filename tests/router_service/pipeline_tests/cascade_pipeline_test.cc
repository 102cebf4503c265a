#include "tests/router_service/pipeline_tests/router_fixture.h"

#include <limits>

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using absl::StatusCode;

class CascadePipeline : public RouterFixture {
 protected:
  void BuildCascade(const std::string& more = "") {
    Build(absl::StrCat(kTwoExperts, "  cascade: {first: small, file: ", CascadeFile(), "}\n", more));
    Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  }
};

TEST_F(CascadePipeline, ASureFirstAnswerStands) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.97f, 0.1));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_TRUE(Target("big:1").calls().empty());
  EXPECT_NEAR(Last().runs(0).confidence(), 0.97, 1e-3);
}

TEST_F(CascadePipeline, AnUnsureFirstAnswerIsEscalatedAndBothAreCharged) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.1);
  const v1::Decision decision = Last();
  ASSERT_EQ(decision.runs_size(), 2);
  EXPECT_EQ(decision.runs(0).reason(), "chosen");
  EXPECT_EQ(decision.runs(1).reason(), "escalation");
}

TEST_F(CascadePipeline, AnAnswerThatIsNotANumberIsNotConfident) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, std::numeric_limits<float>::quiet_NaN(), 0.1));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  EXPECT_EQ(Last().runs(0).confidence(), 0);
}

// Worth 0 against the .95 that `big` is expected to be right with, at a price of its joule.
TEST_F(CascadePipeline, AnAnswerThatIsNotANumberIsNotKeptForAPriceBelowTheOthersWorth) {
  BuildCascade("  budgets: [{resource: JOULES, amount: 0.5, per: REQUEST}]\n");
  int escalated = 0;
  for (int i = 0; i < 600; ++i) {
    const bool broken = i % 4 == 0;
    Target("small:1").AnswerWith(
        MakeReply(1, broken ? std::numeric_limits<float>::quiet_NaN() : 0.9f, 0.1));
    ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
    if (broken) escalated += Last().runs_size() == 2;
  }
  EXPECT_GT(escalated, 120);  // of 150; the first have no headroom
}

TEST_F(CascadePipeline, ReadsTheConfidenceWithoutTheCallerAskingForIt) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  InferRequest request = MakeRequest();
  request.outputs.push_back({"label", {}});
  const InferReply reply = Ask(request);
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader sent,
                       ScanInferRequest(Target("small:1").calls()[0]->request()));
  ASSERT_EQ(sent.outputs.size(), 2u);
  EXPECT_EQ(sent.outputs[1].name, "p");
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(reply.body));
  ASSERT_EQ(header.outputs.size(), 1u);
  EXPECT_EQ(header.outputs[0].name, "label");
}

TEST_F(CascadePipeline, TheDeadlineForbidsTheDearerExpert) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_latency_budget_ms", 5.0}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "deadline");
  EXPECT_TRUE(Target("big:1").calls().empty());
}

TEST_F(CascadePipeline, TheRequestsJoulesForbidTheDearerExpert) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_energy_budget_j", 1.05}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");  // no less than was asked
  EXPECT_TRUE(Target("big:1").calls().empty());
}

TEST_F(CascadePipeline, TheAnswerThatStandsSurvivesAFailedEscalation) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  Target("big:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.1);
}

TEST_F(CascadePipeline, TheAnswerThatStandsSurvivesTheDeadline) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  Target("big:1").AnswerWith(nullptr);
  auto call = Send(MakeRequest(1, {{"penstock_latency_budget_ms", 100.0}}));
  auto attempt = Target("big:1").WaitForCall(0);
  timers_.AdvanceAndRun(absl::Milliseconds(100));
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "deadline");
  EXPECT_TRUE(attempt->cancelled());
}

TEST_F(CascadePipeline, WhenTheFirstExpertFailsTheOtherAnswers) {
  BuildCascade();
  Target("small:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
}

TEST_F(CascadePipeline, AnUnhealthyFirstExpertLeavesAPlainChoice) {
  BuildCascade();
  Target("small:1").SetHealthy(false);
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_experts"), "big");
  EXPECT_EQ(Last().runs_size(), 1);
}

TEST_F(CascadePipeline, ForcedExpertsKnowNoCascade) {
  BuildCascade();
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_experts", std::string("small")}}), ForcedRights());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
}

TEST_F(CascadePipeline, ABudgetThatIsSpentKeepsTheCheapAnswer) {
  BuildCascade("  budgets: [{resource: JOULES, amount: 0.1, per: REQUEST}]\n");
  Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
  std::string degraded;
  double joules = 0;
  for (int i = 0; i < 50; ++i) {
    const InferReply reply = Ask(MakeRequest());
    joules += Number(reply, "penstock_energy_j");
    absl::StrAppend(&degraded, Text(reply, "penstock_degraded"), " ");
  }
  EXPECT_LE(joules, 50 * 0.1 * 1.3);
  EXPECT_THAT(degraded, HasSubstr("budget"));
}

// small (0.1 J), middle (0.5 J), big (1 J): a standing answer is right with the confidence it states,
// big with 0.95.
class StatedRisk : public RouterFixture {
 protected:
  static constexpr char kThreeExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: big, replicas: [{address: "big:1"}]}
  - {name: middle, replicas: [{address: "middle:1"}]}
  - {name: small, replicas: [{address: "small:1"}]}
)";

  void BuildStages(float least_lead, const std::string& cascade, const std::string& more = "") {
    Replica("middle:1").facts = ModelFacts(0.005, 0.5);
    Build(absl::StrCat(kThreeExperts, "  cascade: {first: small, file: ", StagesFile(least_lead),
                       cascade, "}\n", more));
    Target("big:1").AnswerWith(MakeReply(1, 0.99f, 1.0));
  }

  std::string StagesFile(float least_lead) {
    std::vector<float> weight(3 * 3 * 3, 0);
    for (size_t standing = 0; standing < 3; ++standing) {
      weight[(standing * 3 + standing) * 3 + 1] = 1;
      if (standing != 2) weight[(standing * 3 + 2) * 3] = 2.944439f;  // logit 0.95
    }
    const std::string path = dir_.File("stages.safetensors");
    EXPECT_THAT(WriteSafetensors(path,
                                 {{"weight", {3, 3, 3}, weight},
                                  {"can_stand", {3}, {1, 1, 1}},
                                  {"least_lead", {1}, {least_lead}}},
                                 {{"experts", R"(["small","middle","big"])"},
                                  {"stages", "small,middle,big"}}),
                IsOk());
    return path;
  }

  // Who answered, small and middle being so sure.
  std::string Answered(float small, float middle) {
    Target("small:1").AnswerWith(MakeReply(1, small, 0.1));
    Target("middle:1").AnswerWith(MakeReply(1, middle, 0.5));
    return Text(Ask(MakeRequest()), "penstock_experts");
  }
};

TEST_F(StatedRisk, AnAnswerStandsWhereItLeadsByEnough) {
  BuildStages(-0.25f, ", max_escalations: 2");
  EXPECT_EQ(Answered(0.71f, 0.6f), "small");
  EXPECT_EQ(Last().runs_size(), 1);
  EXPECT_THAT(Last().reason(), HasSubstr("sure enough for the stated risk"));
  EXPECT_EQ(Answered(0.69f, 0.71f), "middle");
  EXPECT_EQ(Last().runs_size(), 2);
  EXPECT_EQ(Answered(0.69f, 0.69f), "big");
  EXPECT_EQ(Last().runs_size(), 3);
}

TEST_F(StatedRisk, TheLastEscalationGoesToTheLastStage) {
  BuildStages(-0.25f, "");
  EXPECT_EQ(Answered(0.69f, 0.99f), "big");
  EXPECT_TRUE(Target("middle:1").calls().empty());
}

TEST_F(StatedRisk, AStageThatIsDownIsSkippedAndALastOneThatIsDownIsSaid) {
  BuildStages(-0.25f, ", max_escalations: 2");
  Target("middle:1").SetHealthy(false);
  EXPECT_EQ(Answered(0.69f, 0.99f), "big");
  EXPECT_EQ(Last().degraded(), "");
  Target("big:1").SetHealthy(false);
  EXPECT_EQ(Answered(0.69f, 0.99f), "small");
  EXPECT_EQ(Last().degraded(), "expert_failed");
}

TEST_F(StatedRisk, AnInfiniteLeadAlwaysEscalates) {
  BuildStages(std::numeric_limits<float>::infinity(), "");
  EXPECT_EQ(Answered(1, 1), "big");
}

TEST_F(StatedRisk, TheBudgetStillBinds) {
  BuildStages(0.5f, "", "  budgets: [{resource: JOULES, amount: 0.1, per: REQUEST}]\n");
  double joules = 0;
  std::string degraded;
  for (int i = 0; i < 50; ++i) {
    Target("small:1").AnswerWith(MakeReply(1, 0.6f, 0.1));
    const InferReply reply = Ask(MakeRequest());
    joules += Number(reply, "penstock_energy_j");
    absl::StrAppend(&degraded, Text(reply, "penstock_degraded"), " ");
  }
  EXPECT_LE(joules, 50 * 0.1 * 1.3);
  EXPECT_THAT(degraded, HasSubstr("budget"));
}

TEST_F(StatedRisk, BeginsWithItsFirstStageOnly) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(absl::StrCat(kThreeExperts, "  cascade: {first: middle, file: ",
                                    StagesFile(0), "}\n  inputs: [{name: x, datatype: FP32, shape: "
                                    "[-1, 4]}]\n  outputs: [{name: p, datatype: FP32, shape: [-1, "
                                    "2]}]\n  batched: true\n"),
                       config),
              IsOk());
  EXPECT_THAT(PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("calibrated to begin with small")));
}

TEST_F(CascadePipeline, ACascadeWithoutItsFileIsRefused) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(absl::StrCat(kTwoExperts, "  cascade: {first: small}\n"), config), IsOk());
  EXPECT_THAT(PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cascade.file")));
}

}  // namespace
}  // namespace penstock::router
