// What goes wrong with good requests, through the gateway over a socket.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "cli/client/metrics_scrape.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/integration/bad_news_platform.h"
#include "tests/integration/test_models.h"

namespace penstock {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "off", drain: {grace: 0.2s, timeout: 20s}})";

class BadNewsTest : public BadNewsPlatform {
 protected:
  void SetUp() override {
    BadNewsPlatform::SetUp();
    alice_ = std::make_unique<TestClient>(gateway(), "alice-key");
  }

  static InferRequest With(const std::string& pool, const std::string& name, ParameterValue value) {
    InferRequest request = TinyRequest(pool);
    request.parameters.push_back({name, value});
    return request;
  }
  static double ExpertMetric(const std::string& name) {
    const auto text = cli::ScrapeMetrics(parts_->expert->metrics());
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? cli::SumOfMetric(*text, name) : 0;
  }
  // Sum of the expert service's requests of `slow` with this code.
  static double SlowRequests(const std::string& code) {
    const auto text = cli::ScrapeMetrics(parts_->expert->metrics());
    double sum = 0;
    if (!text.ok()) return sum;
    for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
      if (absl::StrContains(line, "penstock_expert_requests_total") &&
          absl::StrContains(line, "model=\"slow\"") &&
          absl::StrContains(line, absl::StrCat("code=\"", code, "\""))) {
        sum += cli::SumOfMetric(line, "penstock_expert_requests_total");
      }
    }
    return sum;
  }

  std::unique_ptr<TestClient> alice_;
};

TEST_F(BadNewsTest, APoolThatRejectsNamesTheCheapestAndTheFastest) {
  EXPECT_THAT(alice_->Call(With("strict", "penstock_energy_budget_j", 0.5)),
              IsRefused(StatusCode::kFailedPrecondition,
                        AllOf(HasSubstr("0.5 J"), HasSubstr("cheapest is cheap with 50 ms and 1 J"),
                              HasSubstr("fastest is fast with 20 ms and 10 J"))));
  EXPECT_THAT(alice_->Call(With("strict", "penstock_latency_budget_ms", 10.0)),
              IsRefused(StatusCode::kFailedPrecondition,
                        AllOf(HasSubstr("latency budget"), HasSubstr("cheapest is cheap"),
                              HasSubstr("fastest is fast with 20 ms and 10 J"))));
  EXPECT_EQ(fake().calls(), 0);
  // What can be met is.
  const cli::Answer fast = alice_->Answered(With("strict", "penstock_latency_budget_ms", 45.0));
  EXPECT_EQ(fast.Text("penstock_experts"), "fast");
  EXPECT_EQ(fast.Text("penstock_degraded"), "");
}

TEST_F(BadNewsTest, APoolThatDegradesGivesTheNearestAnswerAndSaysSo) {
  const cli::Answer cheap = alice_->Answered(With("lenient", "penstock_energy_budget_j", 0.5));
  EXPECT_EQ(cheap.Text("penstock_experts"), "cheap");
  EXPECT_EQ(cheap.Text("penstock_degraded"), "budget");
  const cli::Answer fast = alice_->Answered(With("lenient", "penstock_latency_budget_ms", 10.0));
  EXPECT_EQ(fast.Text("penstock_experts"), "fast");
  EXPECT_EQ(fast.Text("penstock_degraded"), "deadline");
}

TEST_F(BadNewsTest, AQueueThatLeavesNoTimeIsSaidAtOnceAndNotAfterTheWork) {
  fake().Hold();
  std::vector<std::shared_ptr<Pending>> ahead;
  for (int i = 0; i < 4; ++i) ahead.push_back(alice_->Send(TinyRequest("fake")));
  ASSERT_TRUE(Eventually([&] { return fake().held() == 4; }));
  // 50 ms when idle, 250 ms behind the four; nothing is answered while the fake holds.
  EXPECT_THAT(alice_->Call(With("fake", "penstock_latency_budget_ms", 150.0)),
              IsRefused(StatusCode::kDeadlineExceeded,
                        AllOf(HasSubstr("latency budget"), HasSubstr("fake"))));
  EXPECT_EQ(fake().held(), 4) << "the expert was asked";
  fake().Release();
  for (const auto& pending : ahead) EXPECT_TRUE(pending->Wait().status.ok());
}

TEST_F(BadNewsTest, ABudgetThatRunsOutAtTheExpertsEndsTheirWork) {
  fake().Hold();
  EXPECT_THAT(alice_->Call(With("fake", "penstock_latency_budget_ms", 100.0)),
              IsRefused(StatusCode::kDeadlineExceeded, testing::_));
  EXPECT_TRUE(Eventually([&] { return fake().cancelled() == 1; }));
}

TEST_F(BadNewsTest, TheDeadlineOfTheCallCountsToo) {
  fake().Hold();
  const auto pending = alice_->Send(TinyRequest("fake"), absl::Now() + absl::Milliseconds(150));
  EXPECT_THAT(pending->Wait(), IsRefused(StatusCode::kDeadlineExceeded, testing::_));
  EXPECT_TRUE(Eventually([&] { return fake().cancelled() == fake().held(); }));
}

TEST_F(BadNewsTest, AClientThatGoesAwayEndsTheWorkOfAForeignExpert) {
  fake().Hold();
  const auto pending = alice_->Send(TinyRequest("fake"));
  ASSERT_TRUE(Eventually([&] { return fake().held() == 1; }));
  EXPECT_EQ(fake().cancelled(), 0);
  pending->Cancel();
  EXPECT_THAT(pending->Wait(), IsRefused(StatusCode::kCancelled, testing::_));
  EXPECT_TRUE(Eventually([&] { return fake().cancelled() == 1; }));
}

TEST_F(BadNewsTest, AClientThatGoesAwayEndsWhatWaitsAtAnExpertService) {
  const double accepted = ExpertMetric("penstock_expert_accepted_total");
  const double answered = SlowRequests("OK");
  const double cancelled = SlowRequests("CANCELLED");
  std::vector<std::shared_ptr<Pending>> ahead;
  for (int i = 0; i < 2; ++i) {
    ahead.push_back(alice_->Send(TinyRequest("slow", kSlowRows)));
    ASSERT_TRUE(Eventually(
        [&] { return ExpertMetric("penstock_expert_accepted_total") == accepted + i + 1; }));
  }
  const auto victim = alice_->Send(TinyRequest("slow", kSlowRows));
  ASSERT_TRUE(
      Eventually([&] { return ExpertMetric("penstock_expert_accepted_total") == accepted + 3; }));
  victim->Cancel();
  EXPECT_THAT(victim->Wait(), IsRefused(StatusCode::kCancelled, testing::_));
  EXPECT_TRUE(Eventually([&] { return SlowRequests("CANCELLED") == cancelled + 1; }));
  for (const auto& pending : ahead) EXPECT_TRUE(pending->Wait().status.ok());
  EXPECT_EQ(SlowRequests("OK"), answered + 2) << "the cancelled request was run";
}

TEST_F(BadNewsTest, AnExpertsOwnFailureIsInternalAndNamesTheExpert) {
  for (const StatusCode code : {StatusCode::kInternal, StatusCode::kUnknown, StatusCode::kNotFound,
                                StatusCode::kUnimplemented, StatusCode::kPermissionDenied}) {
    fake().Do(FakeExpert::AnswerWith({absl::Status(code, "it broke"), {}, {}}));
    EXPECT_THAT(
        alice_->Call(TinyRequest("fake")),
        IsRefused(StatusCode::kInternal, AllOf(HasSubstr("expert fake"), HasSubstr("it broke"))));
  }
}

TEST_F(BadNewsTest, AWrongAnswerIsInternalAndNamesExpertAndField) {
  const auto answer_with = [&](Tensor output) {
    InferResponse response;
    response.outputs.push_back(std::move(output));
    fake().Do(FakeExpert::AnswerWith({absl::OkStatus(), EncodeInferResponse(response), {}}));
    return alice_->Call(TinyRequest("fake"));
  };
  EXPECT_THAT(
      answer_with(FloatTensor("y", {1, 3}, std::vector<float>(3))),
      IsRefused(StatusCode::kInternal, AllOf(HasSubstr("expert fake"), HasSubstr("output y"),
                                             HasSubstr("[1,2]"), HasSubstr("[1,3]"))));
  EXPECT_THAT(
      answer_with(FloatTensor("y", {2, 2}, std::vector<float>(4))),
      IsRefused(StatusCode::kInternal, AllOf(HasSubstr("expert fake"), HasSubstr("[2,2]"))));
  EXPECT_THAT(answer_with(FloatTensor("w", {1, 2}, std::vector<float>(2))),
              IsRefused(StatusCode::kInternal,
                        AllOf(HasSubstr("expert fake"), HasSubstr("output y is missing"))));
  Tensor doubles = FloatTensor("y", {1, 2}, std::vector<float>(4));
  doubles.datatype = DataType::kFp64;
  EXPECT_THAT(answer_with(doubles),
              IsRefused(StatusCode::kInternal, AllOf(HasSubstr("expert fake"), HasSubstr("FP64"))));
  // The shape that was wanted, and fewer bytes.
  Tensor cut = FloatTensor("y", {1, 2}, std::vector<float>(2));
  cut.data = cut.data.Slice(0, 5);
  EXPECT_THAT(answer_with(cut),
              IsRefused(StatusCode::kInternal, AllOf(HasSubstr("expert fake"), HasSubstr("y"))));
  fake().Do(FakeExpert::AnswerWith({absl::OkStatus(), Bytes("\xff\xff\xff"), {}}));
  EXPECT_THAT(alice_->Call(TinyRequest("fake")),
              IsRefused(StatusCode::kInternal, HasSubstr("expert fake")));
}

TEST_F(BadNewsTest, WhereAnotherExpertCanBeAskedItAnswers) {
  fake().Do(FakeExpert::AnswerWith({absl::InternalError("it broke"), {}, {}}));
  const cli::Answer answer = alice_->Answered(TinyRequest("pair"));
  EXPECT_EQ(answer.Text("penstock_experts"), "tiny");
  EXPECT_EQ(answer.Text("penstock_degraded"), "expert_failed");
}

TEST_F(BadNewsTest, NoHealthyReplicaIsUnavailable) {
  EXPECT_TRUE(alice_->Call(TinyRequest("gone")).status.ok());
  parts_->other.SetServing(false);
  InferReply reply;
  EXPECT_TRUE(Eventually([&] {
    reply = alice_->Call(TinyRequest("gone"));
    return !reply.status.ok();
  }));
  EXPECT_THAT(reply, IsRefused(StatusCode::kUnavailable, HasSubstr("no healthy")));
  EXPECT_TRUE(alice_->Call(TinyRequest("fake")).status.ok()) << "other pools go on";
  parts_->other.SetServing(true);
  EXPECT_TRUE(Eventually([&] { return alice_->Call(TinyRequest("gone")).status.ok(); }));
}

TEST_F(BadNewsTest, LoadingIsUnavailable) {
  // A router whose expert never comes, behind a gateway.
  const auto router = Process::Start(
      "penstock-router",
      absl::Substitute(
          "server: $0\ntrust_plaintext: true\npools: [{name: late, experts: [{name: late, "
          "replicas: [{address: \"127.0.0.1:1\"}]}]}]\n",
          kServer));
  ASSERT_NE(router, nullptr);
  const auto gateway = StartGateway(router->grpc(), absl::Substitute("server: $0\n", kServer));
  ASSERT_NE(gateway, nullptr);
  const auto ask = [](const std::string& address) {
    const auto stub = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    inference::ModelInferRequest request;
    request.set_model_name("late");
    inference::ModelInferResponse response;
    return stub->ModelInfer(&context, request, &response);
  };
  const grpc::Status at_gateway = ask(gateway->grpc());
  EXPECT_EQ(at_gateway.error_code(), grpc::StatusCode::UNAVAILABLE) << at_gateway.error_message();
  const grpc::Status at_router = ask(router->grpc());
  EXPECT_EQ(at_router.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(at_router.error_message(), AllOf(HasSubstr("late"), HasSubstr("loading")));
}

TEST_F(BadNewsTest, DrainingAnswersWhatWasTakenAndIsUnavailableForTheRest) {
  const auto leaving =
      StartGateway(parts_->router->grpc(), absl::Substitute("server: $0\n", kServer));
  ASSERT_NE(leaving, nullptr);
  TestClient client(leaving->grpc());
  fake().Hold();
  const auto taken = client.Send(TinyRequest("fake"));
  ASSERT_TRUE(Eventually([&] { return fake().held() == 1; }));
  leaving->Terminate();
  // Within the grace calls are answered still, so that nobody is turned away before he knows.
  EXPECT_TRUE(Eventually([&] { return !client.target().healthy(); })) << "watchers are not told";
  // A call that arrives at the very moment of the shutdown may be CANCELLED before a handler takes
  // it; clients of ours ask elsewhere then.
  InferReply reply;
  int cancelled = 0;
  EXPECT_TRUE(Eventually([&] {
    reply = client.Call(TinyRequest("plain"));
    if (absl::IsCancelled(reply.status)) ++cancelled;
    return !reply.status.ok() && !absl::IsCancelled(reply.status);
  }));
  EXPECT_LE(cancelled, 1);
  EXPECT_THAT(reply, IsRefused(StatusCode::kUnavailable, testing::_));
  EXPECT_TRUE(leaving->running()) << "it left while a call was open";
  fake().Release();
  EXPECT_TRUE(taken->Wait().status.ok()) << taken->Wait().status;
  EXPECT_EQ(leaving->Wait(), 0);
}

}  // namespace
}  // namespace penstock
