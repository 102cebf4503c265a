#include <cstring>
#include <string>
#include <vector>

#include "common/tensors/infer_message.h"
#include "gmock/gmock.h"
#include "inference/grpc_service.pb.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

inference::ModelInferRequest::InferInputTensor& AddInput(inference::ModelInferRequest& request,
                                                         const std::string& name,
                                                         const std::string& datatype,
                                                         std::vector<int64_t> shape) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(datatype);
  for (const int64_t dimension : shape) input.add_shape(dimension);
  return input;
}

absl::StatusOr<std::vector<Tensor>> Decode(const inference::ModelInferRequest& request) {
  const Bytes message(request.SerializeAsString());
  const absl::StatusOr<InferRequestHeader> header = ScanInferRequest(message);
  if (!header.ok()) return header.status();
  return DecodeInputs(message, *header);
}

template <typename T>
std::string Raw(std::vector<T> values) {
  std::string raw(values.size() * sizeof(T), '\0');
  std::memcpy(raw.data(), values.data(), raw.size());
  return raw;
}

TEST(DecodeInputsTest, SharesRawContents) {
  inference::ModelInferRequest request;
  AddInput(request, "a", "FP32", {2});
  AddInput(request, "b", "INT8", {3});
  request.add_raw_input_contents(Raw<float>({1, 2}));
  request.add_raw_input_contents("xyz");
  const Bytes message(request.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> inputs, DecodeInputs(message, header));
  ASSERT_THAT(inputs, SizeIs(2));
  EXPECT_EQ(inputs[0].name, "a");
  EXPECT_EQ(inputs[0].datatype, DataType::kFp32);
  EXPECT_THAT(inputs[0].shape, ElementsAre(2));
  EXPECT_EQ(inputs[1].data.ToString(), "xyz");
  const char* begin = message.pieces()[0].data.data();
  EXPECT_EQ(inputs[1].data.pieces()[0].data.data(), begin + header.raw_inputs[1].offset);
}

TEST(DecodeInputsTest, ConvertsTypedContentsOfEveryDatatype) {
  inference::ModelInferRequest request;
  AddInput(request, "bool", "BOOL", {2}).mutable_contents()->add_bool_contents(true);
  request.mutable_inputs(0)->mutable_contents()->add_bool_contents(false);
  AddInput(request, "int8", "INT8", {1}).mutable_contents()->add_int_contents(-128);
  AddInput(request, "int16", "INT16", {1}).mutable_contents()->add_int_contents(-32768);
  AddInput(request, "int32", "INT32", {1}).mutable_contents()->add_int_contents(-5);
  AddInput(request, "int64", "INT64", {1}).mutable_contents()->add_int64_contents(-6);
  AddInput(request, "uint8", "UINT8", {1}).mutable_contents()->add_uint_contents(255);
  AddInput(request, "uint16", "UINT16", {1}).mutable_contents()->add_uint_contents(65535);
  AddInput(request, "uint32", "UINT32", {1}).mutable_contents()->add_uint_contents(UINT32_MAX);
  AddInput(request, "uint64", "UINT64", {1}).mutable_contents()->add_uint64_contents(UINT64_MAX);
  AddInput(request, "fp32", "FP32", {1}).mutable_contents()->add_fp32_contents(0.5f);
  AddInput(request, "fp64", "FP64", {1}).mutable_contents()->add_fp64_contents(0.25);
  AddInput(request, "bytes", "BYTES", {1}).mutable_contents()->add_bytes_contents("abc");
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> inputs, Decode(request));
  std::vector<std::string> raw;
  for (const Tensor& input : inputs) raw.push_back(input.data.ToString());
  EXPECT_THAT(raw, ElementsAre(Raw<uint8_t>({1, 0}), Raw<int8_t>({-128}), Raw<int16_t>({-32768}),
                               Raw<int32_t>({-5}), Raw<int64_t>({-6}), Raw<uint8_t>({255}),
                               Raw<uint16_t>({65535}), Raw<uint32_t>({UINT32_MAX}),
                               Raw<uint64_t>({UINT64_MAX}), Raw<float>({0.5f}), Raw<double>({0.25}),
                               Raw<uint32_t>({3}) + "abc"));
}

TEST(DecodeInputsTest, TakesEveryDatatypeRaw) {
  inference::ModelInferRequest request;
  for (const char* datatype : {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
                               "INT32", "INT64", "FP16", "BF16", "FP32", "FP64"}) {
    AddInput(request, datatype, datatype, {2});
    request.add_raw_input_contents(std::string(2 * ElementSize(*ParseDataType(datatype)), '\x01'));
  }
  AddInput(request, "BYTES", "BYTES", {1});
  request.add_raw_input_contents(Raw<uint32_t>({2}) + "ab");
  EXPECT_THAT(Decode(request), IsOkAndHolds(SizeIs(14)));
}

TEST(DecodeInputsTest, RefusesTypedValuesOutOfRange) {
  inference::ModelInferRequest request;
  auto& contents = *AddInput(request, "x", "INT8", {2}).mutable_contents();
  contents.add_int_contents(1);
  contents.add_int_contents(128);
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': value 1 is 128, out of range for INT8"));
  request.mutable_inputs(0)->set_datatype("INT16");
  EXPECT_THAT(Decode(request), IsOk());
  contents.set_int_contents(1, -32769);
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("-32769, out of range for INT16")));
  contents.Clear();
  request.mutable_inputs(0)->set_datatype("UINT8");
  contents.add_uint_contents(0);
  contents.add_uint_contents(256);
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("256, out of range for UINT8")));
}

TEST(DecodeInputsTest, RefusesTheWrongContentsField) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "FP32", {1}).mutable_contents()->add_fp64_contents(1);
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': FP32 travels in fp32_contents, got fp64_contents"));
}

TEST(DecodeInputsTest, RefusesTypedHalfFloats) {
  for (const char* datatype : {"FP16", "BF16"}) {
    inference::ModelInferRequest request;
    AddInput(request, "x", datatype, {1}).mutable_contents()->add_fp32_contents(1);
    EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("travels in raw contents only")));
  }
}

TEST(DecodeInputsTest, RefusesAnotherNumberOfTypedValues) {
  inference::ModelInferRequest request;
  auto& contents = *AddInput(request, "x", "FP32", {2}).mutable_contents();
  contents.add_fp32_contents(1);
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': the shape asks for 2 values, contents have 1"));
  contents.add_fp32_contents(1);
  contents.add_fp32_contents(1);
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': the shape asks for 2 values, contents have more"));
}

TEST(DecodeInputsTest, RefusesNoContentsAtAll) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "FP32", {2});
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': the shape asks for 2 values, contents have 0"));
}

TEST(DecodeInputsTest, AcceptsTensorsOfNoElements) {
  inference::ModelInferRequest typed;
  AddInput(typed, "x", "FP32", {0, 4});
  EXPECT_THAT(Decode(typed), IsOkAndHolds(SizeIs(1)));
  inference::ModelInferRequest raw;
  AddInput(raw, "x", "FP16", {0, 4});
  AddInput(raw, "y", "BYTES", {0});
  raw.add_raw_input_contents("");
  raw.add_raw_input_contents("");
  EXPECT_THAT(Decode(raw), IsOkAndHolds(SizeIs(2)));
}

TEST(DecodeInputsTest, AScalarHasOneElement) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "INT32", {}).mutable_contents()->add_int_contents(7);
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> inputs, Decode(request));
  EXPECT_EQ(inputs[0].data.ToString(), Raw<int32_t>({7}));
}

TEST(DecodeInputsTest, WantsRawContentsForAllOrNone) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "INT8", {1});
  AddInput(request, "y", "INT8", {1}).mutable_contents()->add_int_contents(1);
  request.add_raw_input_contents("a");
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "raw_input_contents: wanted one for each of the 2 inputs, got 1"));
  request.add_raw_input_contents("b");
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid,
                       "input 'y': contents must be empty where raw_input_contents are "
                       "used"));
}

TEST(DecodeInputsTest, RefusesRawContentsOfTheWrongSize) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "FP32", {2});
  request.add_raw_input_contents("1234567");
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': FP32 of shape [2] takes 8 bytes, got 7"));
}

TEST(DecodeInputsTest, RefusesUnknownDatatypesAndImpossibleShapes) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "FLOAT", {1});
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("input 'x': datatype 'FLOAT'")));
  request.mutable_inputs(0)->set_datatype("FP32");
  request.mutable_inputs(0)->set_shape(0, -1);
  EXPECT_THAT(Decode(request),
              StatusIs(kInvalid, "input 'x': shape [-1] has a negative dimension"));
  request.mutable_inputs(0)->set_shape(0, int64_t{1} << 62);
  request.mutable_inputs(0)->add_shape(8);
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("more than 2^63 elements")));
}

TEST(DecodeInputsTest, RefusesTwoInputsOfOneName) {
  inference::ModelInferRequest request;
  AddInput(request, "x", "INT8", {0});
  AddInput(request, "x", "INT8", {0});
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, "input 'x' came twice"));
}

TEST(DecodeInputsTest, RefusesSharedMemory) {
  inference::ModelInferRequest request;
  auto& input = AddInput(request, "x", "INT8", {1});
  (*input.mutable_parameters())["shared_memory_region"].set_string_param("region");
  EXPECT_THAT(Decode(request), StatusIs(kInvalid, HasSubstr("shared memory is not supported")));
}

TEST(DecodeInputsTest, JoinsContentsThatCameInParts) {
  inference::ModelInferRequest request;
  auto& input = AddInput(request, "x", "INT32", {2});
  input.mutable_contents()->add_int_contents(1);
  inference::ModelInferRequest::InferInputTensor more;
  more.mutable_contents()->add_int_contents(2);
  // As protobuf merges a sub-message that comes twice.
  const std::string tensor = input.SerializeAsString() + more.SerializeAsString();
  const Bytes message("\x2A" + std::string(1, static_cast<char>(tensor.size())) + tensor);
  ASSERT_OK_AND_ASSIGN(const InferRequestHeader header, ScanInferRequest(message));
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> inputs, DecodeInputs(message, header));
  EXPECT_EQ(inputs[0].data.ToString(), Raw<int32_t>({1, 2}));
}

TEST(DecodeOutputsTest, TakesRawAndTypedAnswers) {
  inference::ModelInferResponse response;
  auto* output = response.add_outputs();
  output->set_name("label");
  output->set_datatype("BYTES");
  output->add_shape(1);
  output->mutable_contents()->add_bytes_contents("seven");
  const Bytes typed(response.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(InferResponseHeader header, ScanInferResponse(typed));
  ASSERT_OK_AND_ASSIGN(std::vector<Tensor> outputs, DecodeOutputs(typed, header));
  EXPECT_THAT(ToStrings(outputs[0]), IsOkAndHolds(ElementsAre("seven")));

  output->clear_contents();
  response.add_raw_output_contents(Raw<uint32_t>({1}) + "8");
  const Bytes raw(response.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(header, ScanInferResponse(raw));
  ASSERT_OK_AND_ASSIGN(outputs, DecodeOutputs(raw, header));
  EXPECT_THAT(ToStrings(outputs[0]), IsOkAndHolds(ElementsAre("8")));
}

TEST(DecodeOutputsTest, NamesTheOutput) {
  inference::ModelInferResponse response;
  response.add_outputs()->set_name("label");
  const Bytes message(response.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(const InferResponseHeader header, ScanInferResponse(message));
  EXPECT_THAT(DecodeOutputs(message, header),
              StatusIs(kInvalid, HasSubstr("output 'label': datatype ''")));
}

}  // namespace
}  // namespace penstock
