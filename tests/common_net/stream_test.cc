#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "common/net/oip/stream_message.h"
#include "tests/common_net/net_fixture.h"

namespace penstock {
namespace {

using Stream = grpc::ClientReaderWriter<inference::ModelInferRequest,
                                        inference::ModelStreamInferResponse>;

inference::ModelInferRequest Request(const std::string& id) {
  inference::ModelInferRequest request;
  request.set_model_name("m");
  request.set_id(id);
  return request;
}

std::string IdOf(const IncomingCall& call) {
  inference::ModelInferRequest request;
  EXPECT_TRUE(request.ParseFromString(call.request().ToString()));
  return request.id();
}

InferReply AnswerOf(const IncomingCall& call) {
  inference::ModelInferResponse response;
  response.set_model_name("m");
  response.set_id(IdOf(call));
  response.add_raw_output_contents(std::string(1000, 'x'));
  return InferReply{absl::OkStatus(), Bytes(response.SerializeAsString()), {}};
}

class StreamTest : public ::testing::Test {
 protected:
  void Serve(FunctionHandler::Function function,
             const std::function<void(OipServerOptions&)>& change = {}) {
    server_ = std::make_unique<TestServer>(std::move(function), change);
    stub_ = inference::GRPCInferenceService::NewStub(server_->Socket());
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = stub_->ModelStreamInfer(&context_);
  }
  inference::ModelStreamInferResponse Read() {
    inference::ModelStreamInferResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }

  std::unique_ptr<TestServer> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(StreamTest, AnswersEveryMessage) {
  Serve([](const std::shared_ptr<IncomingCall>& call) { call->Finish(AnswerOf(*call)); });
  constexpr int kMessages = 300;  // beyond max_stream_outstanding's default
  std::map<std::string, int> answers;
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) stream_->Write(Request(std::to_string(i)));
    stream_->WritesDone();
  });
  inference::ModelStreamInferResponse response;
  while (stream_->Read(&response)) {
    EXPECT_EQ(response.error_message(), "");
    EXPECT_EQ(response.infer_response().raw_output_contents(0).size(), 1000u);
    ++answers[response.infer_response().id()];
  }
  writer.join();
  EXPECT_EQ(answers.size(), static_cast<size_t>(kMessages));
  const grpc::Status status = stream_->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(StreamTest, AnswersInOrderOfCompletion) {
  std::vector<std::shared_ptr<IncomingCall>> calls;
  Mutex mutex;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    MutexLock lock(mutex);
    calls.push_back(std::move(call));
    if (calls.size() < 2) return;
    calls[1]->Finish(AnswerOf(*calls[1]));
    calls[0]->Finish(AnswerOf(*calls[0]));
    calls.clear();
  });
  stream_->Write(Request("first"));
  stream_->Write(Request("second"));
  EXPECT_EQ(Read().infer_response().id(), "second");
  EXPECT_EQ(Read().infer_response().id(), "first");
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(StreamTest, ErrorsNameTheCodeAndTheMessageAndTheStreamGoesOn) {
  Serve([](const std::shared_ptr<IncomingCall>& call) {
    if (IdOf(*call) == "bad") {
      call->Finish(InferReply{absl::InvalidArgumentError("shape \xFF"), {}, {}});
    } else if (IdOf(*call) != "dropped") {
      call->Finish(AnswerOf(*call));
    }
  });
  stream_->Write(Request("bad"));
  inference::ModelStreamInferResponse error = Read();
  EXPECT_EQ(error.error_message(), "INVALID_ARGUMENT: shape ?");
  EXPECT_EQ(error.infer_response().id(), "bad");
  stream_->Write(Request("dropped"));
  error = Read();
  EXPECT_THAT(error.error_message(), ::testing::StartsWith("INTERNAL: "));
  EXPECT_EQ(error.infer_response().id(), "dropped");
  stream_->Write(Request("good"));
  EXPECT_EQ(Read().infer_response().id(), "good");
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(StreamTest, CallsHaveTheStreamsDeadlineAndMetadata) {
  absl::Time deadline;
  std::string agent;
  Serve([&](const std::shared_ptr<IncomingCall>& call) {
    deadline = call->deadline();
    agent = std::string(FindMetadata(call->metadata(), "user-agent"));
    call->Finish(AnswerOf(*call));
  });
  stream_->Write(Request("1"));
  Read();
  EXPECT_LT(absl::AbsDuration(deadline - (absl::Now() + absl::Seconds(30))), absl::Seconds(10));
  EXPECT_THAT(agent, ::testing::StartsWith("grpc-c++/"));
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(StreamTest, CancelReachesEveryCall) {
  Mutex mutex;
  CondVar changed;
  std::vector<std::shared_ptr<IncomingCall>> calls;
  int cancelled = 0;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    call->SetCancelHandler([&] {
      MutexLock lock(mutex);
      ++cancelled;
      changed.NotifyAll();
    });
    MutexLock lock(mutex);
    calls.push_back(std::move(call));
    changed.NotifyAll();
  });
  stream_->Write(Request("1"));
  stream_->Write(Request("2"));
  {
    MutexLock lock(mutex);
    while (calls.size() < 2) ASSERT_TRUE(changed.WaitFor(mutex, absl::Seconds(10)));
  }
  context_.TryCancel();
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
  {
    MutexLock lock(mutex);
    while (cancelled < 2) ASSERT_TRUE(changed.WaitFor(mutex, absl::Seconds(10)));
  }
  std::vector<std::shared_ptr<IncomingCall>> late;
  {
    MutexLock lock(mutex);
    late.swap(calls);
  }
  for (const auto& call : late) call->Finish(AnswerOf(*call));
  late.clear();
  (*server_)->Drain();
  EXPECT_EQ((*server_)->answered(), 2u);
}

TEST_F(StreamTest, ReadsNoMoreThanItsBound) {
  Mutex mutex;
  CondVar changed;
  std::vector<std::shared_ptr<IncomingCall>> calls;
  Serve(
      [&](std::shared_ptr<IncomingCall> call) {
        MutexLock lock(mutex);
        calls.push_back(std::move(call));
        changed.NotifyAll();
      },
      [](OipServerOptions& options) { options.max_stream_outstanding = 2; });
  for (int i = 0; i < 5; ++i) stream_->Write(Request(std::to_string(i)));
  stream_->WritesDone();
  for (int answered = 0; answered < 5; ++answered) {
    std::shared_ptr<IncomingCall> call;
    {
      MutexLock lock(mutex);
      while (calls.empty()) ASSERT_TRUE(changed.WaitFor(mutex, absl::Seconds(10)));
      EXPECT_LE(calls.size(), 2u);
      call = std::move(calls.front());
      calls.erase(calls.begin());
    }
    call->Finish(AnswerOf(*call));
    EXPECT_EQ(Read().infer_response().id(), std::to_string(answered));
  }
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(StreamTest, DrainAnswersWhatWasTakenAndEndsTheStream) {
  Notification arrived;
  std::shared_ptr<IncomingCall> held;
  Serve([&](std::shared_ptr<IncomingCall> call) {
    held = std::move(call);
    arrived.Notify();
  });
  stream_->Write(Request("1"));
  ASSERT_TRUE(arrived.WaitWithTimeout(absl::Seconds(10)));
  std::thread drain([&] { (*server_)->Drain(); });
  held->Finish(AnswerOf(*held));
  EXPECT_EQ(Read().infer_response().id(), "1");
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  drain.join();
  EXPECT_EQ((*server_)->answered(), 1u);
}

TEST(StreamMessageTest, WrapsAnswersOfAnySize) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{200}, size_t{70000}}) {
    inference::ModelInferResponse response;
    response.set_id(std::string(size, 'i'));
    inference::ModelStreamInferResponse wrapped;
    ASSERT_TRUE(
        wrapped.ParseFromString(StreamAnswer(Bytes(response.SerializeAsString())).ToString()));
    EXPECT_EQ(wrapped.infer_response().id(), response.id());
    EXPECT_TRUE(wrapped.has_infer_response());
  }
}

}  // namespace
}  // namespace penstock
