#include "common/net/infer_call.h"

#include <string>

#include "gmock/gmock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

TEST(FindMetadataTest, TakesTheFirstValueOfTheKey) {
  const Metadata metadata = {{"a", "1"}, {"b", "2"}, {"b", "3"}};
  EXPECT_EQ(FindMetadata(metadata, "b"), "2");
}

TEST(FindMetadataTest, IsEmptyForAnotherKey) {
  EXPECT_EQ(FindMetadata({{"a", "1"}}, "b"), "");
  EXPECT_EQ(FindMetadata({}, "b"), "");
}

// What every test with the fakes relies on.
TEST(FakeIncomingCallTest, RunsTheCancelHandlerOnce) {
  FakeIncomingCall call(Bytes(std::string("request")));
  int cancelled = 0;
  call.SetCancelHandler([&] { ++cancelled; });
  call.Cancel();
  call.Cancel();
  EXPECT_EQ(cancelled, 1);
}

TEST(FakeIncomingCallTest, RunsAHandlerSetAfterTheCancellation) {
  FakeIncomingCall call(Bytes(std::string("request")));
  call.Cancel();
  int cancelled = 0;
  call.SetCancelHandler([&] { ++cancelled; });
  EXPECT_EQ(cancelled, 1);
}

TEST(FakeIncomingCallTest, IgnoresCancellationAfterTheReply) {
  FakeIncomingCall call(Bytes(std::string("request")));
  int cancelled = 0;
  call.SetCancelHandler([&] { ++cancelled; });
  call.Finish({.status = absl::OkStatus(), .body = Bytes(std::string("x")), .trailers = {}});
  call.Cancel();
  EXPECT_EQ(cancelled, 0);
  EXPECT_EQ(call.WaitForReply().body.ToString(), "x");
}

TEST(FakeInferTargetTest, HoldsACallUntilItIsAnswered) {
  FakeInferTarget target;
  int answers = 0;
  target.ModelInfer(Bytes(std::string("r")), {}, [&](InferReply) { ++answers; });
  EXPECT_EQ(answers, 0);
  EXPECT_EQ(target.WaitForCall(0)->request().ToString(), "r");
  EXPECT_TRUE(target.calls()[0]->Reply(InferReply{}));
  EXPECT_FALSE(target.calls()[0]->Reply(InferReply{}));
  EXPECT_EQ(answers, 1);
}

TEST(FakeInferTargetTest, CancellingAnswersCancelled) {
  FakeInferTarget target;
  InferReply reply;
  const auto call = target.ModelInfer(Bytes(), {}, [&](InferReply r) { reply = std::move(r); });
  call->Cancel();
  EXPECT_THAT(reply.status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(target.calls()[0]->cancelled());
}

TEST(FakeInferTargetTest, AnswersAtOnceWhenTold) {
  FakeInferTarget target;
  target.AnswerWith([](const Bytes& request, const CallOptions&) {
    return InferReply{.status = absl::OkStatus(), .body = request, .trailers = {}};
  });
  InferReply reply;
  target.ModelInfer(Bytes(std::string("echo")), {}, [&](InferReply r) { reply = std::move(r); });
  EXPECT_EQ(reply.body.ToString(), "echo");
}

}  // namespace
}  // namespace penstock
