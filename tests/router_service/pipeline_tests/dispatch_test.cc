#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;
using absl::StatusCode;

constexpr char kTwoReplicas[] = R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}, {address: "small:2"}]}
)";
constexpr char kBothAtOnce[] = R"(
pools:
- name: pool
  combiner: MIXTURE_OF_PROBABILITIES
  selection: {max_experts: 2}
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
)";

class Dispatch : public RouterFixture {
 protected:
  // The replica of `small` that has the first call, and the other one.
  std::pair<FakeInferTarget*, FakeInferTarget*> FirstAndOther() {
    FakeInferTarget& one = Target("small:1");
    FakeInferTarget& two = Target("small:2");
    return one.calls().empty() ? std::pair(&two, &one) : std::pair(&one, &two);
  }
};

TEST_F(Dispatch, AnAnswerPassesThroughUnderThePoolsName) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 1.5));
  const InferReply reply = Ask(MakeRequest(1, {{"mine", std::string("kept")},
                                               {"penstock_cache", std::string("use")}}));
  ASSERT_THAT(reply.status, IsOk());
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(reply.body));
  EXPECT_EQ(header.model_name, "pool");
  EXPECT_EQ(header.model_version, "1");
  EXPECT_EQ(header.id, "id-7");
  EXPECT_EQ(Floats(reply, "p"), (std::vector<float>{0.75f, 0.25f}));

  ASSERT_OK_AND_ASSIGN(const InferRequestHeader sent,
                       ScanInferRequest(Target("big:1").calls()[0]->request()));
  EXPECT_EQ(sent.model_name, "big");
  ASSERT_EQ(sent.parameters.size(), 1u);
  EXPECT_EQ(sent.parameters[0].name, "mine");
}

TEST_F(Dispatch, TellsTheExpertRequestIdAndTraceAndNothingElseOfTheCaller) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 1.5));
  Metadata metadata = Rights({.admin = true});
  metadata.emplace_back(kRequestIdMetadata, "r-1");
  metadata.emplace_back(kTraceparentMetadata, "00-ab-cd-01");
  Ask(MakeRequest(), metadata);
  const Metadata& sent = Target("big:1").calls()[0]->options().metadata;
  EXPECT_EQ(FindMetadata(sent, kRequestIdMetadata), "r-1");
  EXPECT_EQ(FindMetadata(sent, kTraceparentMetadata), "00-ab-cd-01");
  EXPECT_EQ(sent.size(), 2u);
}

TEST_F(Dispatch, AnAnswerSaysWhoWhatAndHowMuch) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(nullptr);
  auto call = Send(MakeRequest());
  clock_.Advance(absl::Milliseconds(3));
  Target("big:1").WaitForCall(0)->Reply(MakeReply(1, 0.75f, 1.5));
  const InferReply reply = call->WaitForReply();
  EXPECT_EQ(Text(reply, "penstock_decision_id"), "abcd1234-0000000000000000");
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  EXPECT_EQ(Text(reply, "penstock_weights"), "1");
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.5);
  EXPECT_EQ(Text(reply, "penstock_energy_method"), "counter");
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_latency_ms"), 3);
  EXPECT_GT(Number(reply, "penstock_predicted_latency_ms"), 0);
  EXPECT_EQ(Text(reply, "penstock_degraded"), "(none)");
  EXPECT_EQ(Text(reply, "penstock_cache"), "(none)");
  EXPECT_EQ(Text(reply, "penstock_decision"), "(none)");
}

TEST_F(Dispatch, ExplainAddsTheWholeDecision) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 1.5));
  const std::string json =
      Text(Ask(MakeRequest(1, {{"penstock_explain", true}})), "penstock_decision");
  for (const char* part : {"\"candidates\"", "\"big\"", "\"replica\":\"big:1\"", "\"energy_j\":1.5",
                           "\"reason\":\"chosen\"", "abcd1234-0000000000000000"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST_F(Dispatch, OutputsThatNobodyAskedForAreLeftOut) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, 1.5));
  InferRequest request = MakeRequest();
  request.outputs.push_back({"label", {}});
  const InferReply reply = Ask(request);
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(reply.body));
  ASSERT_EQ(header.outputs.size(), 1u);
  EXPECT_EQ(header.outputs[0].name, "label");
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
}

TEST_F(Dispatch, WithoutATrailerThePredictionIsChargedAsModelled) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(1, 0.75f, std::nullopt));
  const InferReply reply = Ask(MakeRequest());
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.0);
  EXPECT_EQ(Text(reply, "penstock_energy_method"), "modelled");
}

TEST_F(Dispatch, JoulesThatNobodyKnowsAreNotGivenAsZero) {
  Replica("small:1").facts->description.reset();
  Build(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  Target("small:1").AnswerWith(MakeReply(1, 0.75f, std::nullopt));
  const InferReply reply = Ask(MakeRequest());
  EXPECT_EQ(Text(reply, "penstock_energy_method"), "unknown");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(Value(reply, "penstock_energy_j")));
}

TEST_F(Dispatch, UnavailableIsAskedOnceMoreElsewhereAndBothAreCharged) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest());
  auto [first, other] = FirstAndOther();
  first->WaitForCall(0)->Reply(absl::UnavailableError("draining"));
  other->WaitForCall(0)->Reply(MakeReply(1, 0.9f, 0.2));
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 0.1 + 0.2);
  EXPECT_EQ(Text(reply, "penstock_energy_method"), "modelled");  // the weakest
  const v1::Decision decision = Last();
  ASSERT_EQ(decision.runs_size(), 2);
  EXPECT_EQ(decision.runs(0).status(), "UNAVAILABLE");
  EXPECT_EQ(decision.runs(1).reason(), "retry");
}

TEST_F(Dispatch, ACancelThatNobodyAskedForIsAskedElsewhere) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest());
  auto [first, other] = FirstAndOther();
  first->WaitForCall(0)->Reply(absl::CancelledError(""));
  other->WaitForCall(0)->Reply(MakeReply(1, 0.9f, 0.2));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
}

TEST_F(Dispatch, TheSecondUnavailableIsTold) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest());
  auto [first, other] = FirstAndOther();
  first->WaitForCall(0)->Reply(absl::UnavailableError("draining"));
  other->WaitForCall(0)->Reply(absl::UnavailableError("draining"));
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(first->calls().size() + other->calls().size(), 2u);
}

TEST_F(Dispatch, ASilentAttemptIsAskedElsewhereAndTheLoserIsCancelledAndCharged) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest());
  auto [first, other] = FirstAndOther();
  EXPECT_TRUE(other->calls().empty());
  timers_.AdvanceAndRun(absl::Seconds(1));
  other->WaitForCall(0)->Reply(MakeReply(1, 0.9f, 0.2));
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_TRUE(first->calls()[0]->cancelled());
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 0.1 + 0.2);
}

TEST_F(Dispatch, TheSilentAttemptMayStillWin) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest());
  auto [first, other] = FirstAndOther();
  timers_.AdvanceAndRun(absl::Seconds(1));
  first->WaitForCall(0)->Reply(MakeReply(1, 0.9f, 0.15));
  EXPECT_THAT(call->WaitForReply().status, IsOk());
  EXPECT_TRUE(other->WaitForCall(0)->cancelled());
}

TEST_F(Dispatch, ARetryDoesNotExceedTheRequestsJoules) {
  Build(kTwoReplicas);
  auto call = Send(MakeRequest(1, {{"penstock_energy_budget_j", 0.15}}));
  auto [first, other] = FirstAndOther();
  first->WaitForCall(0)->Reply(absl::UnavailableError("draining"));
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(other->calls().empty());
}

TEST_F(Dispatch, WhenTheClientGoesAwayTheExpertsWorkIsCancelledAndCharged) {
  Build(absl::StrCat(kTwoExperts, "  budgets: [{resource: JOULES, amount: 100, per: REQUEST}]\n"));
  auto call = Send(MakeRequest());
  auto attempt = Target("big:1").WaitForCall(0);
  call->Cancel();
  EXPECT_TRUE(attempt->cancelled());
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kCancelled));
  EXPECT_DOUBLE_EQ(Last().energy_j(), 1.0);
  EXPECT_DOUBLE_EQ(pacer_->List("pool", "")[0].spent(), 1.0);
  EXPECT_EQ(catalogue_->Find("pool")->record->statistics.totals().in_flight, 0u);
}

TEST_F(Dispatch, AnotherExpertAnswersForOneThatFailed) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.1);
}

TEST_F(Dispatch, SeveralAnswersAreCombinedByTheirWeights) {
  Build(kBothAtOnce);
  Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.4f, 1.0));
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Text(reply, "penstock_experts"), HasSubstr(","));
  EXPECT_EQ(Text(reply, "penstock_weights"), "0.5,0.5");
  EXPECT_THAT(Floats(reply, "p"), testing::Pointwise(testing::FloatNear(1e-6f), {0.6f, 0.4f}));
  EXPECT_DOUBLE_EQ(Number(reply, "penstock_energy_j"), 1.1);
}

TEST_F(Dispatch, OneOfSeveralFailingDegradesTheAnswer) {
  Build(kBothAtOnce);
  Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
  Target("big:1").AnswerWith({absl::InternalError("out of memory"), {}, {}});
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_weights"), "1");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "expert_failed");
}

TEST_F(Dispatch, ForcedExpertsRunAndNobodyElse) {
  Build(kTwoExperts);
  Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_experts", std::string("small")}}), ForcedRights());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_TRUE(Target("big:1").calls().empty());
}

TEST_F(Dispatch, TheCapOfARequestKeepsTheDearExpertOut) {
  Build(kTwoExperts);
  Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_energy_budget_j", int64_t{0}}}));
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_EQ(Text(Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.5}})), "penstock_experts"),
            "small");
}

TEST_F(Dispatch, AClassBringsItsLimits) {
  Build(absl::StrCat(kTwoExperts, "  classes: {thrifty: {energy_budget_j: 0.5}}\n"));
  Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
  Target("big:1").AnswerWith(MakeReply(1, 0.8f, 1.0));
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_experts"), "big");
  EXPECT_EQ(Text(Ask(MakeRequest(1, {{"penstock_class", std::string("thrifty")}})),
                 "penstock_experts"),
            "small");
}

TEST_F(Dispatch, TheSameRequestsGetTheSameDecisionsWithLearningOff) {
  constexpr char kRandom[] = R"(
seed: 7
learning: OFF
pools:
- name: pool
  gate: {random: {k: 1}}
  experts:
  - {name: small, replicas: [{address: "small:1"}]}
  - {name: big, replicas: [{address: "big:1"}]}
)";
  const auto decisions = [&] {
    config_.Clear();
    Build(kRandom);
    Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.8f, 1.0));
    std::string who;
    for (int i = 0; i < 40; ++i) absl::StrAppend(&who, Text(Ask(MakeRequest()), "penstock_experts"), " ");
    return who;
  };
  const std::string first = decisions();
  EXPECT_THAT(first, HasSubstr("small"));
  EXPECT_THAT(first, HasSubstr("big"));
  EXPECT_EQ(decisions(), first);
}

TEST_F(Dispatch, ExplainingRunsNothingAndForeseesTheDecision) {
  Build(kTwoExperts);
  ASSERT_OK_AND_ASSIGN(const v1::Decision decision,
                       pipeline_->Explain(EncodeInferRequest(MakeRequest()),
                                          absl::InfiniteFuture(), {}, {.trusted = true}));
  ASSERT_EQ(decision.runs_size(), 1);
  EXPECT_EQ(decision.runs(0).expert(), "big");
  EXPECT_EQ(decision.candidates_size(), 2);
  EXPECT_TRUE(decision.id().empty());
  EXPECT_TRUE(Target("big:1").calls().empty());
  EXPECT_EQ(log_->Recent(1, "").size(), 0u);
}

}  // namespace
}  // namespace penstock::router
