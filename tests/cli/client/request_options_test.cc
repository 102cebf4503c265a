#include "cli/client/request_options.h"

#include <cstring>
#include <limits>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

inference::ModelMetadataResponse Contract(const std::string& datatype,
                                          const std::vector<int64_t>& shape) {
  inference::ModelMetadataResponse contract;
  auto& input = *contract.add_inputs();
  input.set_name("x");
  input.set_datatype(datatype);
  for (const int64_t dimension : shape) input.add_shape(dimension);
  return contract;
}

absl::StatusOr<Tensor> Build(const std::string& input, const std::string& datatype,
                             const std::vector<int64_t>& shape) {
  RequestOptions options;
  options.pool = "pool";
  options.inputs = {input};
  absl::StatusOr<InferRequest> request = BuildRequest(options, Contract(datatype, shape));
  if (!request.ok()) return request.status();
  return request->inputs.at(0);
}

// The values of the tensor that `input` gives, when the contract wants `datatype` [-1].
template <typename T>
std::vector<T> Values(const std::string& input, const std::string& datatype) {
  const absl::StatusOr<Tensor> tensor = Build(input, datatype, {-1});
  EXPECT_THAT(tensor, IsOk());
  if (!tensor.ok()) return {};
  EXPECT_EQ(DataTypeName(tensor->datatype), datatype);
  EXPECT_THAT(ValidateTensor(*tensor), IsOk());
  std::string storage;
  const absl::string_view raw = tensor->data.Flat(storage);
  std::vector<T> values(raw.size() / sizeof(T));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

TEST(BuildRequestTest, ReadsJsonOfEveryDatatype) {
  EXPECT_THAT(Values<uint8_t>("x=[true,false,1,0]", "BOOL"), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(Values<uint8_t>("x=[0,255]", "UINT8"), ElementsAre(0, 255));
  EXPECT_THAT(Values<uint16_t>("x=[65535]", "UINT16"), ElementsAre(65535));
  EXPECT_THAT(Values<uint32_t>("x=[4294967295]", "UINT32"), ElementsAre(4294967295u));
  EXPECT_THAT(Values<uint64_t>("x=[18446744073709551615]", "UINT64"),
              ElementsAre(std::numeric_limits<uint64_t>::max()));
  EXPECT_THAT(Values<int8_t>("x=[-128,127]", "INT8"), ElementsAre(-128, 127));
  EXPECT_THAT(Values<int16_t>("x=[-32768]", "INT16"), ElementsAre(-32768));
  EXPECT_THAT(Values<int32_t>("x=[-2147483648]", "INT32"),
              ElementsAre(std::numeric_limits<int32_t>::min()));
  // 2^53 + 1: no double holds it.
  EXPECT_THAT(Values<int64_t>("x=[9007199254740993,-1]", "INT64"),
              ElementsAre(9007199254740993, -1));
  EXPECT_THAT(Values<float>("x=[0.5,-3]", "FP32"), ElementsAre(0.5f, -3.0f));
  EXPECT_THAT(Values<double>("x=[0.1]", "FP64"), ElementsAre(0.1));
}

TEST(BuildRequestTest, NumberThatDoesNotFitItsDatatypeIsRefused) {
  for (const auto& [value, datatype] : std::vector<std::pair<std::string, std::string>>{
           {"256", "UINT8"}, {"-1", "UINT8"}, {"-1", "UINT64"}, {"128", "INT8"},
           {"70000", "INT16"}, {"4294967296", "UINT32"}, {"2147483648", "INT32"},
           {"9223372036854775808", "INT64"}, {"1.5", "INT32"}, {"1.5", "INT64"}}) {
    EXPECT_THAT(Build("x=[" + value + "]", datatype, {-1}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("--input x="), HasSubstr(datatype), HasSubstr(value))))
        << datatype << " " << value;
  }
}

TEST(BuildRequestTest, NestedArraysAndScalarsAreRowMajorValues) {
  ASSERT_OK_AND_ASSIGN(const Tensor matrix, Build("x=[[1,2,3],[4,5,6]]", "FP32", {-1, 3}));
  EXPECT_THAT(matrix.shape, ElementsAre(2, 3));
  EXPECT_THAT(ToFloats(matrix), IsOkAndHolds(ElementsAre(1, 2, 3, 4, 5, 6)));
  ASSERT_OK_AND_ASSIGN(const Tensor scalar, Build("x=7", "FP32", {1}));
  EXPECT_THAT(ToFloats(scalar), IsOkAndHolds(ElementsAre(7)));
}

TEST(BuildRequestTest, TextIsTheOneElementOfABytesTensor) {
  ASSERT_OK_AND_ASSIGN(const Tensor text, Build("x=hello = world", "BYTES", {1}));
  EXPECT_THAT(ToStrings(text), IsOkAndHolds(ElementsAre("hello = world")));
  ASSERT_OK_AND_ASSIGN(const Tensor json, Build("x=[\"a\",\"\",\"\\u00e9\"]", "BYTES", {-1}));
  EXPECT_THAT(json.shape, ElementsAre(3));
  EXPECT_THAT(ToStrings(json), IsOkAndHolds(ElementsAre("a", "", "é")));
}

TEST(BuildRequestTest, FirstVariableDimensionTakesWhatTheOthersLeave) {
  const auto shape_of = [](const std::vector<int64_t>& contract) {
    const absl::StatusOr<Tensor> tensor = Build("x=[1,2,3,4,5,6]", "FP32", contract);
    EXPECT_THAT(tensor, IsOk());
    return tensor.ok() ? tensor->shape : std::vector<int64_t>();
  };
  EXPECT_THAT(shape_of({-1}), ElementsAre(6));
  EXPECT_THAT(shape_of({-1, 2}), ElementsAre(3, 2));
  EXPECT_THAT(shape_of({2, -1}), ElementsAre(2, 3));
  EXPECT_THAT(shape_of({-1, -1}), ElementsAre(6, 1));
  EXPECT_THAT(shape_of({2, 3}), ElementsAre(2, 3));
}

TEST(BuildRequestTest, ValuesThatDoNotFillTheShapeAreRefusedHere) {
  EXPECT_THAT(Build("x=[1,2,3]", "FP32", {1, 4}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("--input x="), HasSubstr("[1,4]"), HasSubstr("got 3"))));
  EXPECT_THAT(Build("x=[1,2,3]", "FP32", {-1, 2}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("--input x="), HasSubstr("[-1,2]"), HasSubstr("got 3"))));
}

class FileInputTest : public testing::Test {
 protected:
  FileInputTest() {
    const std::vector<float> values = {0, 1, 10, 11, 20, 21};
    path_ = folder_.Write("rows.f32", {reinterpret_cast<const char*>(values.data()),
                                       values.size() * sizeof(float)});
  }

  const TempDir folder_;
  std::string path_;
};

TEST_F(FileInputTest, WholeFileIsAllRows) {
  ASSERT_OK_AND_ASSIGN(const Tensor tensor, Build("x=@" + path_, "FP32", {-1, 2}));
  EXPECT_EQ(tensor.name, "x");
  EXPECT_THAT(tensor.shape, ElementsAre(3, 2));
  EXPECT_THAT(ToFloats(tensor), IsOkAndHolds(ElementsAre(0, 1, 10, 11, 20, 21)));
}

TEST_F(FileInputTest, HashNamesOneRow) {
  ASSERT_OK_AND_ASSIGN(const Tensor tensor, Build("x=@" + path_ + "#2", "FP32", {-1, 2}));
  EXPECT_THAT(tensor.shape, ElementsAre(1, 2));
  EXPECT_THAT(ToFloats(tensor), IsOkAndHolds(ElementsAre(20, 21)));
}

TEST_F(FileInputTest, HalfPrecisionComesFromAFile) {
  ASSERT_OK_AND_ASSIGN(const Tensor tensor,
                       Build("x=@" + folder_.Write("half", {"\x00\x3c\x00\xc0", 4}), "FP16", {-1}));
  EXPECT_THAT(ToFloats(tensor), IsOkAndHolds(ElementsAre(1, -2)));
}

TEST_F(FileInputTest, ErrorsNameTheOptionAndWhatIsWrong) {
  const auto error = [](const std::string& input, const std::string& datatype, auto what) {
    EXPECT_THAT(Build(input, datatype, {-1, 2}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("--input " + input), what)));
  };
  error("x=@" + path_ + "#3", "FP32", HasSubstr("row 3 of 3"));
  error("x=@" + path_ + "#-1", "FP32", HasSubstr("@FILE#ROW"));
  error("x=@" + path_ + "#", "FP32", HasSubstr("@FILE#ROW"));
  error("x=@" + path_ + "#one", "FP32", HasSubstr("@FILE#ROW"));
  error("x=@/nowhere", "FP32", HasSubstr("cannot read /nowhere"));
  error("x=@" + folder_.Write("odd", "1234567"), "FP32", HasSubstr("rows of 8 bytes, got 7"));
  error("x=@" + path_, "BYTES", HasSubstr("BYTES"));
  // It has no end.
  error("x=@/dev/zero#0", "FP32", HasSubstr("wanted a file or a pipe, got a character device"));
}

TEST(BuildRequestTest, EveryErrorNamesTheOption) {
  const auto error = [](const std::string& input, const std::string& datatype, auto what) {
    EXPECT_THAT(Build(input, datatype, {-1}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("--input " + input), what)));
  };
  error("x", "FP32", HasSubstr("NAME=VALUE"));
  error("y=[1]", "FP32", HasSubstr("no input y; it has x"));
  error("x=[1,", "FP32", HasSubstr("JSON or @FILE"));
  error("x=[1,\"two\"]", "FP32", HasSubstr("wanted a number, got \"two\""));
  error("x=null", "INT32", HasSubstr("wanted a number, got null"));
  error("x=[1]", "FP16", HasSubstr("file only"));
  error("x=[1]", "BF16", HasSubstr("file only"));
  error("x=[1]", "FP31", HasSubstr("FP31"));
}

TEST(BuildRequestTest, OptionsBecomeParametersAndUnsetOnesNone) {
  RequestOptions options;
  options.pool = "digits";
  ASSERT_OK_AND_ASSIGN(const InferRequest bare, BuildRequest(options, {}));
  EXPECT_EQ(bare.model_name, "digits");
  EXPECT_TRUE(bare.parameters.empty());

  options.latency_budget_ms = 5;
  options.energy_budget_j = 0;  // said, if only to say none
  options.min_quality = 0.75;
  options.objective = "energy";
  options.experts = "small,large";
  options.application_class = "batch";
  ASSERT_OK_AND_ASSIGN(const InferRequest request, BuildRequest(options, {}));
  std::map<std::string, ParameterValue> parameters;
  for (const OutParameter& parameter : request.parameters) {
    parameters[parameter.name] = parameter.value;
  }
  const std::map<std::string, ParameterValue> wanted = {
      {"penstock_latency_budget_ms", 5.0},
      {"penstock_energy_budget_j", 0.0},
      {"penstock_min_quality", 0.75},
      {"penstock_objective", std::string("energy")},
      {"penstock_experts", std::string("small,large")},
      {"penstock_class", std::string("batch")}};
  EXPECT_EQ(parameters, wanted);
}

TEST(BuildRequestTest, SeveralInputsStayApart) {
  inference::ModelMetadataResponse contract = Contract("FP32", {1});
  *contract.add_inputs() = contract.inputs(0);
  contract.mutable_inputs(1)->set_name("y");
  contract.mutable_inputs(1)->set_datatype("INT32");
  RequestOptions options;
  options.inputs = {"y=3", "x=0.5"};
  ASSERT_OK_AND_ASSIGN(const InferRequest request, BuildRequest(options, contract));
  ASSERT_EQ(request.inputs.size(), 2u);
  EXPECT_EQ(request.inputs[0].name, "y");
  EXPECT_EQ(request.inputs[0].datatype, DataType::kInt32);
  EXPECT_EQ(request.inputs[1].name, "x");
}

}  // namespace
}  // namespace penstock::cli
