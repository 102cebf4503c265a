#include "tests/router_service/pipeline_tests/router_fixture.h"

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

TEST_F(CascadePipeline, ACascadeWithoutItsFileIsRefused) {
  config::v1::Router config;
  ASSERT_THAT(ReadYaml(absl::StrCat(kTwoExperts, "  cascade: {first: small}\n"), config), IsOk());
  EXPECT_THAT(PoolCatalogue::Create(config, false, timers_, clock_, connector_).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cascade.file")));
}

}  // namespace
}  // namespace penstock::router
