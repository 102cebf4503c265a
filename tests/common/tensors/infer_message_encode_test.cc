#include <string>
#include <vector>

#include "common/tensors/infer_message.h"
#include "gmock/gmock.h"
#include "inference/grpc_service.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// True when some piece of `message` is the very memory of `data`.
bool Shares(const Bytes& message, const Bytes& data) {
  for (const Bytes::Piece& piece : message.pieces()) {
    if (piece.data.data() == data.pieces()[0].data.data()) return true;
  }
  return false;
}

TEST(EncodeInferRequestTest, ProtobufReadsIt) {
  const InferRequest request{
      .model_name = "digits",
      .model_version = "2",
      .id = "7",
      .parameters = {{.name = "b", .value = false},
                     {.name = "i", .value = int64_t{-1}},
                     {.name = "s", .value = std::string("text")},
                     {.name = "d", .value = 0.5},
                     {.name = "u", .value = uint64_t{UINT64_MAX}},
                     {.name = "none", .value = {}}},
      .inputs = {FloatTensor("x", {1, 2}, {1, 2}), StringTensor("y", {1}, {"abc"})},
      .outputs = {{.name = "label",
                   .parameters = {{.name = "classification", .value = int64_t{3}, .range = {}}}}}};
  inference::ModelInferRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(EncodeInferRequest(request).ToString()));
  EXPECT_EQ(parsed.model_name(), "digits");
  EXPECT_EQ(parsed.model_version(), "2");
  EXPECT_EQ(parsed.id(), "7");
  EXPECT_EQ(parsed.parameters().size(), 6);
  EXPECT_TRUE(parsed.parameters().at("b").has_bool_param());
  EXPECT_EQ(parsed.parameters().at("i").int64_param(), -1);
  EXPECT_EQ(parsed.parameters().at("s").string_param(), "text");
  EXPECT_EQ(parsed.parameters().at("d").double_param(), 0.5);
  EXPECT_EQ(parsed.parameters().at("u").uint64_param(), UINT64_MAX);
  ASSERT_EQ(parsed.inputs_size(), 2);
  EXPECT_EQ(parsed.inputs(0).datatype(), "FP32");
  EXPECT_THAT(parsed.inputs(0).shape(), ElementsAre(1, 2));
  EXPECT_EQ(parsed.raw_input_contents(0), request.inputs[0].data.ToString());
  EXPECT_EQ(parsed.raw_input_contents(1), request.inputs[1].data.ToString());
  EXPECT_EQ(parsed.outputs(0).name(), "label");
  EXPECT_EQ(parsed.outputs(0).parameters().at("classification").int64_param(), 3);
}

TEST(EncodeInferRequestTest, SharesTensorData) {
  const Tensor tensor = FloatTensor("x", {1000}, std::vector<float>(1000));
  EXPECT_TRUE(Shares(EncodeInferRequest({.inputs = {tensor}}), tensor.data));
}

TEST(EncodeInferResponseTest, KeepsTheSlotOfAnEmptyTensor) {
  const InferResponse response{.model_name = "m",
                               .model_version = "",
                               .id = "",
                               .parameters = {},
                               .outputs = {FloatTensor("a", {0}, {}), FloatTensor("b", {1}, {1}),
                                           FloatTensor("c", {0}, {})}};
  inference::ModelInferResponse parsed;
  ASSERT_TRUE(parsed.ParseFromString(EncodeInferResponse(response).ToString()));
  EXPECT_THAT(parsed.raw_output_contents(), ElementsAre("", SizeIs(4), ""));
}

TEST(EditInferRequestTest, CutsParametersAndRenamesTheModel) {
  const Tensor tensor = FloatTensor("x", {1000}, std::vector<float>(1000));
  const Bytes message =
      EncodeInferRequest({.model_name = "pool",
                          .model_version = "9",
                          .id = "7",
                          .parameters = {{.name = "penstock_class", .value = std::string("a")},
                                         {.name = "keep", .value = true},
                                         {.name = "penstock_cache", .value = std::string("use")}},
                          .inputs = {tensor},
                          .outputs = {}});
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  const Bytes edited = EditInferRequest(message, {.cut = header.parameter_ranges,
                                                  .model_name = "expert",
                                                  .set_model_version = true,
                                                  .model_version = ""});
  inference::ModelInferRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(edited.ToString()));
  EXPECT_EQ(parsed.model_name(), "expert");
  EXPECT_EQ(parsed.model_version(), "");
  EXPECT_EQ(parsed.id(), "7");
  EXPECT_EQ(parsed.parameters().size(), 1);
  EXPECT_TRUE(parsed.parameters().at("keep").bool_param());
  EXPECT_EQ(parsed.raw_input_contents(0).size(), 4000);
  EXPECT_TRUE(Shares(edited, tensor.data));
}

TEST(EditInferRequestTest, WithoutEditsChangesNothing) {
  const Bytes message = EncodeInferRequest({.model_name = "pool", .model_version = "9"});
  EXPECT_EQ(EditInferRequest(message, {}), message);
}

TEST(AppendToInferResponseTest, NamesThePoolAndOverridesParameters) {
  const Tensor tensor = FloatTensor("y", {1000}, std::vector<float>(1000));
  const Bytes message = EncodeInferResponse(
      {.model_name = "expert",
       .model_version = "3",
       .id = "7",
       .parameters = {{.name = "a", .value = int64_t{1}}, {.name = "b", .value = int64_t{2}}},
       .outputs = {tensor}});
  const Bytes appended = AppendToInferResponse(
      message, "pool", "",
      {{.name = "b", .value = 0.5}, {.name = "penstock_experts", .value = std::string("x,y")}});
  inference::ModelInferResponse parsed;
  ASSERT_TRUE(parsed.ParseFromString(appended.ToString()));
  EXPECT_EQ(parsed.model_name(), "pool");
  EXPECT_EQ(parsed.model_version(), "");
  EXPECT_EQ(parsed.id(), "7");
  EXPECT_EQ(parsed.parameters().at("a").int64_param(), 1);
  EXPECT_EQ(parsed.parameters().at("b").double_param(), 0.5);
  EXPECT_EQ(parsed.parameters().at("penstock_experts").string_param(), "x,y");
  EXPECT_TRUE(Shares(appended, tensor.data));
}

}  // namespace
}  // namespace penstock
