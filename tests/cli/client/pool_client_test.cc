#include "cli/client/pool_client.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

InferReply ReplyOf(const InferResponse& response) {
  return {.status = absl::OkStatus(), .body = EncodeInferResponse(response), .trailers = {}};
}

TEST(DecodeAnswerTest, GivesOutputsAndParametersByName) {
  InferResponse response;
  response.outputs = {FloatTensor("logits", {1, 2}, {0.5, 2})};
  response.parameters = {{"penstock_experts", std::string("small")},
                         {"penstock_energy_j", 0.25},
                         {"rows", int64_t{7}}};
  ASSERT_OK_AND_ASSIGN(const Answer answer, DecodeAnswer(ReplyOf(response)));
  ASSERT_NE(answer.Output("logits"), nullptr);
  EXPECT_THAT(ToFloats(*answer.Output("logits")), IsOkAndHolds(ElementsAre(0.5, 2)));
  EXPECT_EQ(answer.Text("penstock_experts"), "small");
  EXPECT_EQ(answer.Number("penstock_energy_j", -1), 0.25);
  EXPECT_EQ(answer.Number("rows", -1), 7) << "whole numbers are numbers too";
}

TEST(DecodeAnswerTest, WhatIsAbsentOrOfAnotherTypeIsTheDefault) {
  InferResponse response;
  response.parameters = {{"text", std::string("1")}, {"number", 1.0}};
  ASSERT_OK_AND_ASSIGN(const Answer answer, DecodeAnswer(ReplyOf(response)));
  EXPECT_EQ(answer.Output("logits"), nullptr);
  EXPECT_EQ(answer.Text("number"), "");
  EXPECT_EQ(answer.Text("absent"), "");
  EXPECT_EQ(answer.Number("text", -1), -1);
  EXPECT_EQ(answer.Number("absent", -1), -1);
}

TEST(DecodeAnswerTest, ErrorOfTheCallIsTheAnswersError) {
  EXPECT_THAT(DecodeAnswer({.status = absl::ResourceExhaustedError("queue"), .body = {}, .trailers = {}}),
              StatusIs(absl::StatusCode::kResourceExhausted, "queue"));
}

TEST(DecodeAnswerTest, BytesThatDoNotParseAreAnError) {
  EXPECT_FALSE(
      DecodeAnswer({.status = absl::OkStatus(), .body = Bytes("\x0a\xff"), .trailers = {}}).ok());
}

TEST(PoolClientTest, SendsTheKeyOfItsFileWithoutTheNewline) {
  const TempDir folder;
  ClientOptions options;
  options.api_key_file = folder.Write("key", "secret\n");
  ASSERT_OK_AND_ASSIGN(const auto client, PoolClient::Create(options));
  EXPECT_THAT(client->metadata(), ElementsAre(Pair("authorization", "Bearer secret")));
}

TEST(PoolClientTest, ACertificateNeedsItsKeyAndTheServersAuthority) {
  ClientOptions options;
  options.certificate_file = "own.pem";
  EXPECT_THAT(PoolClient::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--key")));
  options.key_file = "own.key";
  EXPECT_THAT(PoolClient::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--ca")));
}

TEST(PoolClientTest, KeyFileThatCannotBeReadIsNamedWithItsOption) {
  ClientOptions options;
  options.api_key_file = "/nowhere/key";
  EXPECT_THAT(PoolClient::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::AllOf(HasSubstr("--api_key_file"), HasSubstr("/nowhere/key"))));
}

}  // namespace
}  // namespace penstock::cli
