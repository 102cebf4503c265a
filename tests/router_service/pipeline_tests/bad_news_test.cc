#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using absl::StatusCode;

// What a request gets that cannot be answered as it was asked.
class BadNews : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  }
};

TEST_F(BadNews, BytesThatDoNotParse) {
  Build(kTwoExperts);
  auto call = std::make_shared<FakeIncomingCall>(Bytes(std::string("\x0a\xff")));
  pipeline_->ModelInfer(call);
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(observer_.codes, ElementsAre(StatusCode::kInvalidArgument));
}

TEST_F(BadNews, UnknownPoolAndVersion) {
  Build(kTwoExperts);
  InferRequest request = MakeRequest();
  request.model_name = "pond";
  EXPECT_THAT(Ask(request).status, StatusIs(StatusCode::kNotFound, HasSubstr("pond")));
  request = MakeRequest();
  request.model_version = "2";
  EXPECT_THAT(Ask(request).status, StatusIs(StatusCode::kNotFound, HasSubstr("2")));
  request.model_version = "1";
  EXPECT_THAT(Ask(request).status, IsOk());
}

TEST_F(BadNews, WrongTensorsAreNamedWithWhatWasWantedAndWhatCame) {
  Build(kTwoExperts);
  InferRequest unknown = MakeRequest();
  unknown.inputs[0].name = "y";
  EXPECT_THAT(Ask(unknown).status,
              StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("y"), HasSubstr("x"))));
  InferRequest missing = MakeRequest();
  missing.inputs.clear();
  EXPECT_THAT(Ask(missing).status, StatusIs(StatusCode::kInvalidArgument, HasSubstr("x")));
  InferRequest shape = MakeRequest();
  shape.inputs[0] = FloatTensor("x", {1, 5}, {1, 2, 3, 4, 5});
  EXPECT_THAT(Ask(shape).status, StatusIs(StatusCode::kInvalidArgument,
                                          AllOf(HasSubstr("[-1,4]"), HasSubstr("[1,5]"))));
  InferRequest type = MakeRequest();
  type.inputs[0].datatype = DataType::kInt32;
  EXPECT_THAT(Ask(type).status, StatusIs(StatusCode::kInvalidArgument,
                                         AllOf(HasSubstr("FP32"), HasSubstr("INT32"))));
  InferRequest output = MakeRequest();
  output.outputs.push_back({"q", {}});
  EXPECT_THAT(Ask(output).status,
              StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("q"), HasSubstr("label"))));
  InferRequest size = MakeRequest();
  size.inputs[0].data = Bytes(std::string(15, '\0'));
  EXPECT_THAT(Ask(size).status, StatusIs(StatusCode::kInvalidArgument, HasSubstr("x")));
  EXPECT_TRUE(Target("small:1").calls().empty());
}

TEST_F(BadNews, MoreRowsThanAnyExpertTakesOrNone) {
  Build(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(65)).status,
              StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("64"), HasSubstr("65"))));
  EXPECT_THAT(Ask(MakeRequest(0)).status, StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(BadNews, MoreRowsThanTheForcedExpertTakes) {
  Replica("small:1").facts = ModelFacts(0.001, 0.1, /*max_rows=*/8);
  Build(kTwoExperts);
  const std::vector<OutParameter> small = {{"penstock_experts", std::string("small")}};
  Target("small:1").AnswerWith(MakeReply(8, 0.9f, 0.8));
  Target("big:1").AnswerWith(MakeReply(9, 0.9f, 9));
  EXPECT_THAT(Ask(MakeRequest(9, small), ForcedRights()).status,
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("small takes at most 8 rows a request, got 9; experts that take "
                                 "them: big")));
  EXPECT_THAT(Ask(MakeRequest(8, small), ForcedRights()).status, IsOk());
  EXPECT_THAT(Ask(MakeRequest(9)).status, IsOk());
}

TEST_F(BadNews, UnknownParameterClassAndExpert) {
  Build(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_budget", 1.0}})).status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("penstock_budget")));
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_class", std::string("x")}})).status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("penstock_class")));
  EXPECT_THAT(
      Ask(MakeRequest(1, {{"penstock_experts", std::string("huge")}}), ForcedRights()).status,
      StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("huge"), HasSubstr("small, big"))));
}

TEST_F(BadNews, NamingExpertsNeedsTheRight) {
  Build(kTwoExperts);
  const InferRequest request = MakeRequest(1, {{"penstock_experts", std::string("small")}});
  EXPECT_THAT(Ask(request).status, StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(Ask(request, ForcedRights()).status, IsOk());
  // The same words from a caller who is not believed.
  EXPECT_THAT(
      Send(request, absl::InfiniteDuration(), ForcedRights(), false)->WaitForReply().status,
      StatusIs(StatusCode::kPermissionDenied));
}

TEST_F(BadNews, APoolThatTheTenantMayNotCall) {
  Build(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(), Rights({.pools = {"other"}})).status,
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("acme")));
}

TEST_F(BadNews, BudgetsThatNoExpertMeetsAreRefusedWithFigures) {
  Build(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.01}})).status,
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("small")));
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_latency_budget_ms", 0.01}})).status,
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("small")));
  EXPECT_EQ(Last().status(), "FAILED_PRECONDITION");
}

TEST_F(BadNews, ADegradingPoolAnswersNearestAndSaysSo) {
  Build(absl::StrCat(kTwoExperts, "  on_infeasible: DEGRADE\n"));
  const InferReply reply = Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.01}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "budget");
}

TEST_F(BadNews, DegradingGivesUpQualityBeforeJoules) {
  Build(absl::StrCat(kTwoExperts, "  on_infeasible: DEGRADE\n"));
  const InferReply reply = Ask(MakeRequest(
      1, {{"penstock_energy_budget_j", 0.5}, {"penstock_min_quality", 0.9}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "small");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "budget");  // which kept the better one away
}

TEST_F(BadNews, DegradingGivesUpJoulesBeforeLatency) {
  Replica("small:1").facts = ModelFacts(0.010, 0.1);
  Replica("big:1").facts = ModelFacts(0.001, 1.0);
  Build(absl::StrCat(kTwoExperts, "  on_infeasible: DEGRADE\n"));
  const InferReply reply = Ask(MakeRequest(
      1, {{"penstock_energy_budget_j", 0.5}, {"penstock_latency_budget_ms", 5.0}}));
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_experts"), "big");
  EXPECT_EQ(Text(reply, "penstock_degraded"), "budget");
}

TEST_F(BadNews, DegradingGivesUpLatencyOnlyWhereNobodyIsInTime) {
  Build(absl::StrCat(kTwoExperts, "  on_infeasible: DEGRADE\n"));
  Target("small:1").AnswerWith(nullptr);
  auto call = Send(MakeRequest(1, {{"penstock_latency_budget_ms", 0.5}}));
  auto attempt = Target("small:1").WaitForCall(0);
  ASSERT_NE(attempt, nullptr);
  EXPECT_EQ(attempt->options().deadline, absl::InfiniteFuture());
  clock_.Advance(absl::Milliseconds(1));
  attempt->Reply(MakeReply(1, 0.9f, 0.1));
  const InferReply reply = call->WaitForReply();
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_EQ(Text(reply, "penstock_degraded"), "deadline");
}

TEST_F(BadNews, ADeadlineThatHasPassedIsToldAtOnce) {
  Build(kTwoExperts);
  EXPECT_THAT(Send(MakeRequest(), absl::Milliseconds(-1))->WaitForReply().status,
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(Target("small:1").calls().empty());
}

TEST_F(BadNews, ADeadlineThatTheQueueForbidsIsToldAtOnce) {
  Build(kTwoExperts);
  Target("small:1").AnswerWith(nullptr);
  Target("big:1").SetHealthy(false);
  std::vector<std::shared_ptr<FakeIncomingCall>> ahead;
  for (int i = 0; i < 200; ++i) ahead.push_back(Send(MakeRequest()));
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_latency_budget_ms", 3.0}}));
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kDeadlineExceeded));
  for (const auto& call : Target("small:1").calls()) call->Reply(MakeReply(1, 0.9f, 0.1));
}

TEST_F(BadNews, TheLatencyBudgetEndsTheWorkInTime) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(nullptr);
  auto call = Send(MakeRequest(1, {{"penstock_latency_budget_ms", 100.0}}));
  auto attempt = Target("big:1").WaitForCall(0);
  EXPECT_LT(attempt->options().deadline, clock_.Now() + absl::Milliseconds(100));
  timers_.AdvanceAndRun(absl::Milliseconds(100));
  EXPECT_THAT(call->WaitForReply().status, StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(attempt->cancelled());
}

TEST_F(BadNews, ASpentHardBudgetSaysWhenToComeBack) {
  Build(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: REQUESTS, amount: 1, per: HOUR, hard: true}]\n"));
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  const InferReply reply = Ask(MakeRequest());
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_FALSE(FindMetadata(reply.trailers, kRetryAfterMetadata).empty());
}

TEST_F(BadNews, ATenantsBudgetBindsThatTenantOnly) {
  Build(absl::StrCat(
      kTwoExperts,
      "budgets: [{resource: REQUESTS, amount: 1, per: HOUR, hard: true, tenant: acme}]\n"));
  EXPECT_THAT(Ask(MakeRequest(), Rights({}, "acme")).status, IsOk());
  EXPECT_THAT(Ask(MakeRequest(), Rights({}, "acme")).status,
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(Ask(MakeRequest(), Rights({}, "other")).status, IsOk());
  // A tenant named by somebody who is not believed is nobody.
  EXPECT_THAT(
      Send(MakeRequest(), absl::InfiniteDuration(), Rights({}, "acme"), false)->WaitForReply().status,
      IsOk());
  EXPECT_EQ(Last().tenant(), "anonymous");
}

TEST_F(BadNews, TooManyAtOnce) {
  Build(absl::StrCat(kTwoExperts, "  max_in_flight: 1\n"));
  Target("big:1").AnswerWith(nullptr);
  auto first = Send(MakeRequest());
  const InferReply second = Ask(MakeRequest());
  EXPECT_THAT(second.status, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_FALSE(FindMetadata(second.trailers, kRetryAfterMetadata).empty());
  Target("big:1").WaitForCall(0)->Reply(MakeReply(1, 0.9f, 1.0));
  EXPECT_THAT(first->WaitForReply().status, IsOk());
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
}

TEST_F(BadNews, NoHealthyReplica) {
  Build(kTwoExperts);
  Target("small:1").SetHealthy(false);
  Target("big:1").SetHealthy(false);
  EXPECT_THAT(Ask(MakeRequest()).status, StatusIs(StatusCode::kUnavailable));
}

TEST_F(BadNews, APoolThatIsLoading) {
  Replica("small:1").facts = absl::UnavailableError("refused");
  Replica("big:1").facts = absl::UnavailableError("refused");
  Build(kTwoExperts);
  EXPECT_THAT(Ask(MakeRequest()).status,
              StatusIs(StatusCode::kUnavailable, HasSubstr("loading")));
}

TEST_F(BadNews, AFileThatDoesNotFitIsNoLoading) {
  const TempDir folder;
  const std::string file = folder.Write("gate.safetensors", "no tensors at all");
  Build(absl::StrCat(kTwoExperts, "  gate: {topk_softmax: {file: \"", file, "\"}}\n"));
  // What the router's log says of the pool; waiting would not help, another router might.
  EXPECT_THAT(Ask(MakeRequest()).status,
              StatusIs(StatusCode::kUnavailable,
                       AllOf(HasSubstr("pool pool is not ready: "),
                             HasSubstr(catalogue_->Find("pool")->NotReadyBecause()),
                             HasSubstr("gate.topk_softmax.file"), HasSubstr(file),
                             Not(HasSubstr("loading")))));
}

TEST_F(BadNews, AnExpertsOwnFailureWithNobodyElseToAskNamesIt) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith({absl::UnknownError("CUDA error"), {}, {}});
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_experts", std::string("big")}}), ForcedRights());
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kInternal,
                                     AllOf(HasSubstr("big"), HasSubstr("CUDA error"))));
}

TEST_F(BadNews, AnAnswerOfTheWrongShapeNamesTheExpert) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(MakeReply(2, 0.9f, 1.0));
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_experts", std::string("big")}}), ForcedRights());
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kInternal,
                                     AllOf(HasSubstr("big"), HasSubstr("[1,2]"),
                                           HasSubstr("[2,2]"))));
}

TEST_F(BadNews, WhatTheExpertSaysOfTheRequestIsPassedOn) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith({absl::InvalidArgumentError("id 9 out of range"), {}, {}});
  EXPECT_THAT(Ask(MakeRequest()).status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("out of range")));
  EXPECT_TRUE(Target("small:1").calls().empty());
}

TEST_F(BadNews, AFullExpertSaysWhenToComeBack) {
  Build(kTwoExperts);
  Target("big:1").AnswerWith(
      {absl::ResourceExhaustedError("queue full"), {}, {{kRetryAfterMetadata, "25"}}});
  const InferReply reply =
      Ask(MakeRequest(1, {{"penstock_experts", std::string("big")}}), ForcedRights());
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(FindMetadata(reply.trailers, kRetryAfterMetadata), "25");
}

TEST_F(BadNews, ARefusalsJoulesTeachTheCostModelNothing) {
  Build(R"(
pools:
- name: pool
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  InferReply refused = MakeReply(1, 0.9f, 0.0);
  refused.status = absl::ResourceExhaustedError("the queue is full");
  refused.body = Bytes();
  Target("small:1").AnswerWith(refused);
  const CostModel& cost = catalogue_->Find("pool")->record->cost;
  const double before = cost.Estimate(0, 0, 1, {}).energy_j;
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(Ask(MakeRequest()).status.ok());
  EXPECT_GT(before, 0);
  EXPECT_DOUBLE_EQ(cost.Estimate(0, 0, 1, {}).energy_j, before);
}

TEST_F(BadNews, MoreRowsThanARowPoolSaysItTakes) {
  Build(R"(
pools:
- name: pool
  granularity: ROW
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  EXPECT_THAT(Ask(MakeRequest(65537)).status,
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("wanted at most 65536 rows"), HasSubstr("got 65537"))));
}

TEST_F(BadNews, RowsOfNothing) {
  Replica("small:1").facts->metadata.mutable_inputs(0)->set_shape(1, -1);
  Build(R"(
pools:
- name: pool
  granularity: ROW
  experts: [{name: small, replicas: [{address: "small:1"}]}]
)");
  InferRequest request = MakeRequest();
  for (const int64_t rows : {int64_t{1}, int64_t{1} << 40}) {
    request.inputs[0] = FloatTensor("x", {rows, 0}, {});
    EXPECT_THAT(Ask(request).status,
                StatusIs(StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("input x"), HasSubstr("at least 1 element"))));
  }
}

}  // namespace
}  // namespace penstock::router
