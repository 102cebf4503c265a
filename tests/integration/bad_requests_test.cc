// Requests that are wrong in themselves, through the gateway over a socket: the code, and a message
// that names the field, what was wanted and what came.

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/integration/bad_news_platform.h"
#include "tests/integration/test_models.h"

namespace penstock {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

class BadRequestsTest : public BadNewsPlatform {
 protected:
  void SetUp() override {
    BadNewsPlatform::SetUp();
    alice_ = std::make_unique<TestClient>(gateway(), "alice-key");
  }
  // The answer to a good request for `plain` with one thing changed.
  template <typename Change>
  InferReply Changed(const Change& change) {
    InferRequest request = TinyRequest("plain");
    change(request);
    return alice_->Call(request);
  }
  InferReply WithParameter(const std::string& name, ParameterValue value) {
    return Changed([&](InferRequest& request) { request.parameters.push_back({name, value}); });
  }
  // ModelMetadata through the generated client.
  grpc::Status Metadata(const std::string& pool, const std::string& version) {
    const auto stub = inference::GRPCInferenceService::NewStub(
        grpc::CreateChannel(gateway(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    for (const auto& [key, value] : alice_->metadata()) context.AddMetadata(key, value);
    inference::ModelMetadataRequest request;
    request.set_name(pool);
    request.set_version(version);
    inference::ModelMetadataResponse response;
    return stub->ModelMetadata(&context, request, &response);
  }

  std::unique_ptr<TestClient> alice_;
};

TEST_F(BadRequestsTest, AGoodRequestIsAnswered) {
  const InferReply reply = Changed([](InferRequest&) {});
  EXPECT_TRUE(reply.status.ok()) << reply.status;
}

TEST_F(BadRequestsTest, AMissingOrUnknownInputIsNamed) {
  EXPECT_THAT(
      Changed([](InferRequest& request) { request.inputs.clear(); }),
      IsRefused(StatusCode::kInvalidArgument, AllOf(HasSubstr("input x"), HasSubstr("missing"))));
  EXPECT_THAT(Changed([](InferRequest& request) { request.inputs[0].name = "z"; }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("z is unknown"), HasSubstr("known are x"))));
  EXPECT_THAT(
      Changed([](InferRequest& request) { request.inputs.push_back(request.inputs[0]); }),
      IsRefused(StatusCode::kInvalidArgument, AllOf(HasSubstr("input x"), HasSubstr("twice"))));
}

TEST_F(BadRequestsTest, AWrongShapeIsNamedWithWhatWasWanted) {
  EXPECT_THAT(Changed([](InferRequest& request) {
                request.inputs[0] = FloatTensor("x", {1, 5}, std::vector<float>(5));
              }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("input x"), HasSubstr("[-1,4]"), HasSubstr("[1,5]"))));
  EXPECT_THAT(Changed([](InferRequest& request) { request.inputs[0].shape = {4}; }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("input x"), HasSubstr("[-1,4]"), HasSubstr("[4]"))));
  EXPECT_THAT(
      Changed([](InferRequest& request) {
        request.inputs[0] = FloatTensor("x", {0, 4}, {});
      }),
      IsRefused(StatusCode::kInvalidArgument, AllOf(HasSubstr("input x"), HasSubstr("got 0"))));
  EXPECT_THAT(
      Changed([](InferRequest& request) {
        request.inputs[0] = FloatTensor("x", {65, 4}, std::vector<float>(260));
      }),
      IsRefused(StatusCode::kInvalidArgument,
                AllOf(HasSubstr("input x"), HasSubstr("at most 64 rows"), HasSubstr("got 65"))));
}

TEST_F(BadRequestsTest, AWrongTypeIsNamedWithWhatWasWanted) {
  EXPECT_THAT(Changed([](InferRequest& request) { request.inputs[0].datatype = DataType::kInt32; }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("input x"), HasSubstr("FP32"), HasSubstr("INT32"))));
}

TEST_F(BadRequestsTest, AMalformedTensorIsNamed) {
  // 15 bytes where [1,4] FP32 takes 16.
  EXPECT_THAT(Changed([](InferRequest& request) {
                request.inputs[0].data = request.inputs[0].data.Slice(0, 15);
              }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("x"), HasSubstr("16"), HasSubstr("15"))));
  // Neither raw nor typed contents.
  inference::ModelInferRequest empty;
  empty.set_model_name("plain");
  auto& x = *empty.add_inputs();
  x.set_name("x");
  x.set_datatype("FP32");
  x.add_shape(1);
  x.add_shape(4);
  EXPECT_THAT(alice_->Call(Bytes(empty.SerializeAsString())),
              IsRefused(StatusCode::kInvalidArgument, HasSubstr("x")));
  // Typed contents of another type.
  for (int i = 0; i < 4; ++i) x.mutable_contents()->add_int_contents(i);
  EXPECT_THAT(alice_->Call(Bytes(empty.SerializeAsString())),
              IsRefused(StatusCode::kInvalidArgument, HasSubstr("x")));
}

TEST_F(BadRequestsTest, AnUnknownOutputIsNamed) {
  EXPECT_THAT(Changed([](InferRequest& request) {
                request.outputs.push_back({"w", {}});
              }),
              IsRefused(StatusCode::kInvalidArgument,
                        AllOf(HasSubstr("w is unknown"), HasSubstr("known are y"))));
}

TEST_F(BadRequestsTest, AnUnknownParameterOfOursIsRefusedAndOthersPass) {
  EXPECT_THAT(
      WithParameter("penstock_energy_bugdet_j", 1.0),
      IsRefused(StatusCode::kInvalidArgument, AllOf(HasSubstr("penstock_energy_bugdet_j"),
                                                    HasSubstr("penstock_energy_budget_j"))));
  EXPECT_TRUE(WithParameter("somebody_elses", std::string("word")).status.ok());
}

TEST_F(BadRequestsTest, ABadParameterValueIsNamedWithWhatWasWanted) {
  const std::pair<const char*, ParameterValue> bad[] = {
      {"penstock_latency_budget_ms", std::string("soon")},
      {"penstock_latency_budget_ms", -1.0},
      {"penstock_energy_budget_j", -1.0},
      {"penstock_energy_budget_j", true},
      {"penstock_min_quality", 1.5},
      {"penstock_objective", std::string("speed")},
      {"penstock_max_experts", int64_t{0}},
      {"penstock_class", std::string("no such class")},
      {"penstock_experts", std::string("nobody")},
      {"penstock_cache", std::string("maybe")},
      {"penstock_explain", std::string("yes")},
      {"timeout", int64_t{-1}},
      {"sequence_id", int64_t{7}},
  };
  for (const auto& [name, value] : bad) {
    EXPECT_THAT(WithParameter(name, value),
                IsRefused(StatusCode::kInvalidArgument, HasSubstr(name)));
  }
  EXPECT_THAT(
      WithParameter("penstock_min_quality", 1.5),
      IsRefused(StatusCode::kInvalidArgument, AllOf(HasSubstr("[0, 1]"), HasSubstr("1.5"))));
  // A double parameter takes an integer.
  EXPECT_TRUE(WithParameter("penstock_energy_budget_j", int64_t{5}).status.ok());
}

TEST_F(BadRequestsTest, BytesThatDoNotParseAreRefused) {
  EXPECT_THAT(alice_->Call(Bytes("\xff\xff\xff\xff")),
              IsRefused(StatusCode::kInvalidArgument, testing::_));
  // The pool's name is readable, what follows is not: a tensor that is longer than the message.
  EXPECT_THAT(alice_->Call(Bytes("\x0a\x05plain\x2a\x7fxyz")),
              IsRefused(StatusCode::kInvalidArgument, testing::_));
  // A tensor's name that ends inside its own message.
  EXPECT_THAT(alice_->Call(Bytes("\x0a\x05plain\x2a\x03\x0a\x09x")),
              IsRefused(StatusCode::kInvalidArgument, testing::_));
  EXPECT_THAT(alice_->Call(Bytes()), IsRefused(StatusCode::kNotFound, testing::_));
}

TEST_F(BadRequestsTest, UnknownPoolsAndVersionsAreNotFound) {
  EXPECT_THAT(Changed([](InferRequest& request) { request.model_name = "nothing"; }),
              IsRefused(StatusCode::kNotFound, HasSubstr("nothing")));
  EXPECT_THAT(Changed([](InferRequest& request) { request.model_version = "7"; }),
              IsRefused(StatusCode::kNotFound, AllOf(HasSubstr("plain"), HasSubstr("7"))));
  EXPECT_EQ(Metadata("nothing", "").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Metadata("plain", "7").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Metadata("plain", "1").ok());
}

TEST_F(BadRequestsTest, NoCredentialsAreUnauthenticated) {
  TestClient nobody(gateway());
  EXPECT_THAT(nobody.Call(TinyRequest("plain")),
              IsRefused(StatusCode::kUnauthenticated, HasSubstr("authorization")));
  TestClient stranger(gateway(), "made-up");
  EXPECT_THAT(stranger.Call(TinyRequest("plain")),
              IsRefused(StatusCode::kUnauthenticated, HasSubstr("unknown key")));
}

TEST_F(BadRequestsTest, WhatACallerMayNotDoIsDenied) {
  TestClient bob(gateway(), "bob-key");
  EXPECT_TRUE(bob.Call(TinyRequest("plain")).status.ok());
  EXPECT_THAT(bob.Call(TinyRequest("fake")),
              IsRefused(StatusCode::kPermissionDenied, AllOf(HasSubstr("bob"), HasSubstr("fake"))));
  InferRequest forced = TinyRequest("plain");
  forced.parameters.push_back({"penstock_experts", std::string("tiny")});
  EXPECT_THAT(bob.Call(forced),
              IsRefused(StatusCode::kPermissionDenied, HasSubstr("penstock_experts")));
  EXPECT_TRUE(alice_->Call(forced).status.ok());

  grpc::ClientContext context;
  for (const auto& [key, value] : bob.metadata()) context.AddMetadata(key, value);
  v1::SetBudgetRequest request;
  request.set_pool("plain");
  v1::SetBudgetResponse response;
  const grpc::Status status = bob.pool_client().routing().SetBudget(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
}

TEST_F(BadRequestsTest, CallersCannotGiveThemselvesRights) {
  TestClient bob(gateway(), "bob-key");
  CallOptions options;
  options.metadata = bob.metadata();
  options.metadata.emplace_back("penstock-tenant", "alice");
  options.metadata.emplace_back("penstock-rights", "forced_experts,admin");
  InferReply reply;
  Notification done;
  bob.target().ModelInfer(EncodeInferRequest(TinyRequest("fake")), options, [&](InferReply got) {
    reply = std::move(got);
    done.Notify();
  });
  done.Wait();
  EXPECT_THAT(reply, IsRefused(StatusCode::kPermissionDenied, HasSubstr("bob")));
}

TEST_F(BadRequestsTest, AMessageOverTheLimitIsExhaustedWithoutRetryAfter) {
  InferRequest request = TinyRequest("plain");
  request.inputs[0] = FloatTensor("x", {1 << 18, 4}, std::vector<float>(1 << 20));
  EXPECT_THAT(alice_->Call(request), IsRefused(StatusCode::kResourceExhausted, testing::_));
  EXPECT_TRUE(alice_->Call(TinyRequest("plain")).status.ok()) << "the connection is of no more use";
}

}  // namespace
}  // namespace penstock
