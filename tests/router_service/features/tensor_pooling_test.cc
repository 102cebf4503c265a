#include "router_service/features/tensor_pooling.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

config::v1::TensorSpec Spec(const std::string& name, const std::string& datatype,
                            std::vector<int64_t> shape) {
  config::v1::TensorSpec spec;
  spec.set_name(name);
  spec.set_datatype(datatype);
  for (const int64_t size : shape) spec.add_shape(size);
  return spec;
}

std::unique_ptr<const FeatureExtractor> Pooling(std::vector<int64_t> shape, uint32_t cells) {
  config::v1::Features config;
  config.mutable_tensor_pooling()->set_cells(cells);
  auto made = MakeFeatureExtractor(config, {Spec("x", "FP32", shape)});
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::vector<float> Extract(const FeatureExtractor& extractor, const Tensor& tensor) {
  FeatureBuffer buffer;
  const absl::Status status = extractor.Extract(absl::MakeConstSpan(&tensor, 1), buffer);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(buffer.finite);
  EXPECT_TRUE(buffer.indices.empty());
  EXPECT_EQ(buffer.dense.size(), extractor.dimension());
  return buffer.dense;
}

TEST(TensorPooling, AveragesRowsThenRuns) {
  const auto extractor = Pooling({4}, 2);
  EXPECT_THAT(Extract(*extractor, FloatTensor("x", {2, 4}, {1, 3, 10, 20, 5, 7, 30, 40})),
              ElementsAre(4, 25));
}

TEST(TensorPooling, AveragesAllLeadingDimensions) {
  const auto extractor = Pooling({2, 2}, 0);
  EXPECT_THAT(Extract(*extractor, FloatTensor("x", {2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})),
              ElementsAre(3, 4));
}

TEST(TensorPooling, ReadsIntegers) {
  config::v1::Features config;
  config.mutable_tensor_pooling();
  const auto extractor =
      MakeFeatureExtractor(config, {Spec("text", "BYTES", {1}), Spec("x", "INT32", {2})});
  ASSERT_TRUE(extractor.ok()) << extractor.status();
  const int32_t values[] = {1, -2, 3, 4};
  const Tensor tensor{"x",
                      DataType::kInt32,
                      {2, 2},
                      Bytes(std::string(reinterpret_cast<const char*>(values), sizeof(values)))};
  EXPECT_THAT(Extract(**extractor, tensor), ElementsAre(2, 1));
}

TEST(TensorPooling, ReadsBytesInSeveralPieces) {
  const auto extractor = Pooling({2}, 0);
  Tensor tensor = FloatTensor("x", {2, 2}, {1, 2, 3, 4});
  const Bytes whole = tensor.data;
  tensor.data = whole.Slice(0, 3);
  tensor.data.Append(Bytes(whole.Slice(3, 13).ToString()));
  EXPECT_THAT(Extract(*extractor, tensor), ElementsAre(2, 3));
}

TEST(TensorPooling, ReportsFeaturesThatAreNotFinite) {
  const auto extractor = Pooling({2}, 0);
  const Tensor tensor = FloatTensor("x", {1, 2}, {1, std::nanf("")});
  FeatureBuffer buffer;
  ASSERT_TRUE(extractor->Extract(absl::MakeConstSpan(&tensor, 1), buffer).ok());
  EXPECT_FALSE(buffer.finite);
  EXPECT_FALSE(buffer.view().known);
}

TEST(TensorPooling, ExtractsEachRowByItself) {
  const auto extractor = Pooling({2, 2}, 1);
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor tensor = FloatTensor("x", {2, 2, 2}, {1, 2, 3, 4, 5, infinity, 7, 8});
  std::vector<float> z;
  std::vector<uint8_t> finite;
  const auto rows = extractor->ExtractRows(absl::MakeConstSpan(&tensor, 1), z, finite);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, 2);
  EXPECT_THAT(z, ElementsAre(2.5f, infinity));
  EXPECT_THAT(finite, ElementsAre(1, 0));
}

TEST(TensorPooling, RefusesAnInputOfAnotherWidth) {
  const auto extractor = Pooling({4}, 2);
  const Tensor tensor = FloatTensor("x", {1, 6}, {1, 2, 3, 4, 5, 6});
  FeatureBuffer buffer;
  const absl::Status status =
      extractor->Extract(absl::MakeConstSpan(&tensor, 1), buffer);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("[1,6], wanted a last dimension of 4"));
}

TEST(TensorPooling, NamesAnInputThatIsMissing) {
  const auto extractor = Pooling({4}, 2);
  const Tensor tensor = FloatTensor("y", {1, 4}, {1, 2, 3, 4});
  FeatureBuffer buffer;
  EXPECT_THAT(
      std::string(
          extractor->Extract(absl::MakeConstSpan(&tensor, 1), buffer).message()),
      HasSubstr("\"x\" is missing"));
}

TEST(TensorPooling, RefusesCellsThatDoNotDivide) {
  config::v1::Features config;
  config.mutable_tensor_pooling()->set_cells(10);
  const auto made = MakeFeatureExtractor(config, {Spec("image", "FP32", {784})});
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("cells is 10, but the 784 values"));
}

TEST(TensorPooling, RefusesAnInputThatThePoolLacks) {
  config::v1::Features config;
  config.mutable_tensor_pooling()->set_input("y");
  EXPECT_THAT(
      std::string(MakeFeatureExtractor(config, {Spec("x", "FP32", {4})}).status().message()),
      HasSubstr("no input of that name"));
}

TEST(FeatureExtractor, NoneReadsNothing) {
  const auto extractor = MakeFeatureExtractor({}, {Spec("x", "BYTES", {4})});
  ASSERT_TRUE(extractor.ok());
  EXPECT_EQ((*extractor)->dimension(), 0u);
}

}  // namespace
}  // namespace penstock::router
