#include <string>
#include <variant>

#include "common/tensors/infer_message.h"
#include "gmock/gmock.h"
#include "inference/grpc_service.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

inference::ModelInferRequest SmallRequest() {
  inference::ModelInferRequest request;
  request.set_model_name("digits");
  request.set_model_version("3");
  request.set_id("42");
  auto* input = request.add_inputs();
  input->set_name("image");
  input->set_datatype("FP32");
  input->add_shape(1);
  input->add_shape(2);
  request.add_raw_input_contents(std::string(8, '\x01'));
  request.add_outputs()->set_name("label");
  return request;
}

const Parameter* FindParameter(const std::vector<Parameter>& parameters, absl::string_view name) {
  for (const Parameter& parameter : parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

TEST(ScanInferRequestTest, ReadsTheHeader) {
  const Bytes message(SmallRequest().SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  EXPECT_EQ(header.model_name, "digits");
  EXPECT_EQ(header.model_version, "3");
  EXPECT_EQ(header.id, "42");
  ASSERT_THAT(header.inputs, SizeIs(1));
  EXPECT_EQ(header.inputs[0].name, "image");
  EXPECT_EQ(header.inputs[0].datatype, "FP32");
  EXPECT_THAT(header.inputs[0].shape, ElementsAre(1, 2));
  EXPECT_FALSE(header.inputs[0].has_contents);
  ASSERT_THAT(header.outputs, SizeIs(1));
  EXPECT_EQ(header.outputs[0].name, "label");
  ASSERT_THAT(header.raw_inputs, SizeIs(1));
  EXPECT_EQ(message.Slice(header.raw_inputs[0].offset, header.raw_inputs[0].size).ToString(),
            std::string(8, '\x01'));
}

TEST(ScanInferRequestTest, NothingIsARequestWithoutAnything) {
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(Bytes()));
  EXPECT_EQ(header.model_name, "");
  EXPECT_THAT(header.inputs, IsEmpty());
}

TEST(ScanInferRequestTest, ReadsParametersOfEveryType) {
  inference::ModelInferRequest request;
  auto& parameters = *request.mutable_parameters();
  parameters["b"].set_bool_param(true);
  parameters["i"].set_int64_param(-7);
  parameters["s"].set_string_param("text");
  parameters["d"].set_double_param(0.5);
  parameters["u"].set_uint64_param(UINT64_MAX);
  parameters["none"];
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header,
                       ScanInferRequest(Bytes(request.SerializeAsString())));
  EXPECT_THAT(header.parameters, SizeIs(6));
  EXPECT_EQ(FindParameter(header.parameters, "b")->value, ParameterValue(true));
  EXPECT_EQ(FindParameter(header.parameters, "i")->value, ParameterValue(int64_t{-7}));
  EXPECT_EQ(FindParameter(header.parameters, "s")->value, ParameterValue(std::string("text")));
  EXPECT_EQ(FindParameter(header.parameters, "d")->value, ParameterValue(0.5));
  EXPECT_EQ(FindParameter(header.parameters, "u")->value, ParameterValue(uint64_t{UINT64_MAX}));
  EXPECT_EQ(FindParameter(header.parameters, "none")->value, ParameterValue());
}

TEST(ScanInferRequestTest, TheLastValueOfAScalarCounts) {
  inference::ModelInferRequest first, second;
  first.set_model_name("cheap");
  second.set_model_name("dear");
  const Bytes message(first.SerializeAsString() + second.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  EXPECT_EQ(header.model_name, "dear");
  EXPECT_THAT(ScanModelName(message), IsOkAndHolds("dear"));
}

TEST(ScanInferRequestTest, TheLastEntryOfAParameterCounts) {
  inference::ModelInferRequest first, second;
  (*first.mutable_parameters())["penstock_energy_budget_j"].set_double_param(1);
  (*second.mutable_parameters())["penstock_energy_budget_j"].set_double_param(2);
  const Bytes message(first.SerializeAsString() + second.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  ASSERT_THAT(header.parameters, SizeIs(1));
  EXPECT_EQ(header.parameters[0].value, ParameterValue(2.0));
  EXPECT_THAT(header.parameter_ranges, SizeIs(2));
}

TEST(ScanInferRequestTest, ParameterRangesCoverTheWholeEntry) {
  inference::ModelInferRequest request;
  (*request.mutable_parameters())["penstock_explain"].set_bool_param(true);
  const std::string entry = request.SerializeAsString();
  const Bytes message("\x0A\x01m" + entry);
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  ASSERT_THAT(header.parameter_ranges, SizeIs(1));
  EXPECT_EQ(header.parameter_ranges[0].offset, 3);
  EXPECT_EQ(header.parameter_ranges[0].size, entry.size());
}

TEST(ScanInferRequestTest, FieldsMayComeInAnyOrder) {
  const inference::ModelInferRequest request = SmallRequest();
  inference::ModelInferRequest contents, rest = request;
  contents.add_raw_input_contents(request.raw_input_contents(0));
  rest.clear_raw_input_contents();
  const Bytes message(contents.SerializeAsString() + rest.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  EXPECT_EQ(header.model_name, "digits");
  EXPECT_THAT(header.raw_inputs, SizeIs(1));
}

TEST(ScanInferRequestTest, TypedContentsAreNotedWhereTheyHaveValues) {
  inference::ModelInferRequest request = SmallRequest();
  request.mutable_inputs(0)->mutable_contents();
  ASSERT_OK_AND_ASSIGN(InferRequestHeader header,
                       ScanInferRequest(Bytes(request.SerializeAsString())));
  EXPECT_FALSE(header.inputs[0].has_contents);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1);
  ASSERT_OK_AND_ASSIGN(header, ScanInferRequest(Bytes(request.SerializeAsString())));
  EXPECT_TRUE(header.inputs[0].has_contents);
}

TEST(ScanInferRequestTest, SaysWhatDoesNotParseAndWhere) {
  EXPECT_THAT(
      ScanInferRequest(Bytes(std::string("\x0A\x05xy"))),
      StatusIs(kInvalid, "ModelInferRequest does not parse: length beyond the end at byte 2"));
  EXPECT_THAT(ScanInferRequest(Bytes(std::string("\x0A\x01\xFF"))),
              StatusIs(kInvalid, HasSubstr("not UTF-8")));
  EXPECT_THAT(ScanInferRequest(Bytes(std::string("\x0C"))), StatusIs(kInvalid));
}

TEST(ScanInferRequestTest, RefusesMessagesOfVeryManyEntries) {
  // Two bytes a tensor would become a hundred times as much.
  std::string message;
  for (size_t i = 0; i < kMaxMessageEntries; ++i) message += std::string("\x2A\x00", 2);
  EXPECT_THAT(ScanInferRequest(Bytes(message)), IsOk());
  message += std::string("\x2A\x00", 2);
  EXPECT_THAT(ScanInferRequest(Bytes(message)), StatusIs(kInvalid, HasSubstr("65536")));
}

TEST(ScanModelNameTest, LooksIntoNoTensor) {
  // inputs (field 5) holds a byte that is no field.
  const Bytes message(std::string("\x0A\x01m\x2A\x01\x07"));
  EXPECT_THAT(ScanModelName(message), IsOkAndHolds("m"));
  EXPECT_THAT(ScanInferRequest(message), StatusIs(kInvalid));
}

TEST(ScanInferResponseTest, ReadsTheHeader) {
  inference::ModelInferResponse response;
  response.set_model_name("mlp");
  response.set_model_version("1");
  response.set_id("42");
  (*response.mutable_parameters())["p"].set_int64_param(1);
  auto* output = response.add_outputs();
  output->set_name("logits");
  output->set_datatype("FP32");
  output->add_shape(1);
  response.add_raw_output_contents("abcd");
  const Bytes message(response.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(message));
  EXPECT_EQ(header.model_name, "mlp");
  EXPECT_EQ(header.model_version, "1");
  EXPECT_EQ(header.id, "42");
  EXPECT_EQ(FindParameter(header.parameters, "p")->value, ParameterValue(int64_t{1}));
  ASSERT_THAT(header.outputs, SizeIs(1));
  EXPECT_EQ(header.outputs[0].name, "logits");
  ASSERT_THAT(header.raw_outputs, SizeIs(1));
  EXPECT_EQ(message.Slice(header.raw_outputs[0].offset, 4).ToString(), "abcd");
}

}  // namespace
}  // namespace penstock
