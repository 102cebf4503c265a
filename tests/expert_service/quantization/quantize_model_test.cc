#include "expert_service/quantization/quantize_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using kernels::WeightFormat;
using testing::HasSubstr;

constexpr int64_t kDimension = 64, kExperts = 4, kRows = 48;

// linear -> moe -> linear, the experts' weights of rising size.
config::v1::Model Config() {
  return ModelConfigOf(R"pb(
    name: "m"
    inputs { name: "x" datatype: "FP32" shape: 64 }
    outputs { name: "y" datatype: "FP32" shape: 5 block: 2 }
    blocks { linear {} }
    blocks { moe { top_k: 2 norm: true residual: true } }
    blocks { linear {} }
    batching { max_rows: 16 }
  )pb");
}

std::shared_ptr<const Safetensors> Weights() {
  std::vector<SafetensorsTensor> tensors = WaveWeights({{"0.weight", {kDimension, 64}},
                                                        {"0.bias", {kDimension}},
                                                        {"1.router", {kExperts, kDimension}},
                                                        {"1.norm", {kDimension}},
                                                        {"1.gate", {kExperts, 32, kDimension}},
                                                        {"1.up", {kExperts, 32, kDimension}},
                                                        {"1.down", {kExperts, kDimension, 32}},
                                                        {"2.weight", {5, kDimension}}});
  const auto bytes = SafetensorsBytes(tensors, {{"kept", "yes"}});
  EXPECT_TRUE(bytes.ok());
  return Safetensors::Parse(bytes.value()).value();
}

std::shared_ptr<const Safetensors> FileOf(const QuantizedModel& model) {
  const auto bytes = SafetensorsBytes(model.tensors, model.metadata);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  const auto file = Safetensors::Parse(bytes.value());
  EXPECT_TRUE(file.ok()) << file.status();
  return file.value();
}

QuantizeOptions WithInputs() {
  QuantizeOptions options;
  options.inputs = Wave(kRows * kDimension, 2.0f, 0.9f);
  return options;
}

TEST(QuantizeModelTest, OneFormatThroughoutServesNearlyTheSame) {
  const auto file = Weights();
  double before = std::numeric_limits<double>::infinity();
  for (const WeightFormat format : {WeightFormat::kInt4, WeightFormat::kInt8}) {
    QuantizeOptions options = WithInputs();
    options.format = format;
    ASSERT_OK_AND_ASSIGN(const QuantizedModel model, QuantizeModel(Config(), *file, options));
    EXPECT_EQ(model.units.size(), 2u + 2 * kExperts);
    EXPECT_EQ(model.metadata.at("kept"), "yes");
    ASSERT_TRUE(model.output_error.has_value());
    EXPECT_LT(*model.output_error, before);
    before = *model.output_error;
    // It loads, and every tensor is read by a block.
    EXPECT_THAT(Model::Create(Config(), "m", 1, FileOf(model).get(), "f"), IsOk());
  }
  EXPECT_LT(before, 1e-3);
}

TEST(QuantizeModelTest, BytesAreThoseOfTheFile) {
  QuantizeOptions options;
  options.format = WeightFormat::kInt4;
  options.group = 32;
  ASSERT_OK_AND_ASSIGN(const QuantizedModel model, QuantizeModel(Config(), *Weights(), options));
  int64_t bytes = 0;
  for (const SafetensorsTensor& tensor : model.tensors) {
    const bool codes = tensor.name.find(".codes") != std::string::npos;
    const bool scales = tensor.name.find(".scales") != std::string::npos;
    if (codes) bytes += static_cast<int64_t>(tensor.raw.size());
    if (scales) bytes += static_cast<int64_t>(tensor.values.size() * sizeof(float));
  }
  EXPECT_EQ(model.bytes, bytes);
  EXPECT_EQ(model.bytes * 8, model.weights * 5) << "4 bits, and 32 of a scale for 32 of them";
}

TEST(QuantizeModelTest, ABudgetIsKeptAndBeatsOneFormatOfTheSameSize) {
  const auto file = Weights();
  QuantizeOptions uniform = WithInputs();
  ASSERT_OK_AND_ASSIGN(const QuantizedModel same, QuantizeModel(Config(), *file, uniform));
  QuantizeOptions options = WithInputs();
  options.budget_bytes = same.bytes;
  ASSERT_OK_AND_ASSIGN(const QuantizedModel model, QuantizeModel(Config(), *file, options));
  EXPECT_LE(model.bytes, same.bytes);
  EXPECT_LT(*model.output_error, *same.output_error);
  std::set<WeightFormat> formats;
  for (const QuantizedUnit& unit : model.units) formats.insert(unit.stored.format);
  EXPECT_GT(formats.size(), 1u);
  EXPECT_THAT(Model::Create(Config(), "m", 1, FileOf(model).get(), "f"), IsOk());
}

TEST(QuantizeModelTest, MoreBytesAreNeverWorse) {
  const auto file = Weights();
  ASSERT_OK_AND_ASSIGN(const QuantizedModel small, QuantizeModel(Config(), *file, WithInputs()));
  double before = std::numeric_limits<double>::infinity();
  for (const int64_t budget : {small.bytes * 7 / 8, small.bytes, 2 * small.bytes, 16 * small.bytes}) {
    QuantizeOptions options = WithInputs();
    options.budget_bytes = budget;
    ASSERT_OK_AND_ASSIGN(const QuantizedModel model, QuantizeModel(Config(), *file, options));
    double errors = 0;  // what was minimised: the sum over the units
    for (const QuantizedUnit& unit : model.units) errors += *unit.output_error;
    EXPECT_LE(errors, before);
    before = errors;
  }
  EXPECT_EQ(before, 0) << "everything as it was";
}

TEST(QuantizeModelTest, WithoutInputsTheWeightsAloneDecide) {
  QuantizeOptions options;
  ASSERT_OK_AND_ASSIGN(const QuantizedModel small, QuantizeModel(Config(), *Weights(), options));
  EXPECT_FALSE(small.output_error.has_value());
  options.budget_bytes = small.bytes;
  ASSERT_OK_AND_ASSIGN(const QuantizedModel model, QuantizeModel(Config(), *Weights(), options));
  EXPECT_LE(model.bytes, small.bytes);
}

TEST(QuantizeModelTest, RefusesWithItsReason) {
  const auto file = Weights();
  const auto refused = [&](const auto& change) {
    QuantizeOptions options = WithInputs();
    change(options);
    return std::string(QuantizeModel(Config(), *file, options).status().message());
  };
  EXPECT_THAT(refused([](QuantizeOptions& o) { o.budget_bytes = 10; }),
              HasSubstr("budget_bytes: wanted at least"));
  EXPECT_THAT(refused([](QuantizeOptions& o) { o.format = WeightFormat::kF16; }),
              HasSubstr("format: wanted int8"));
  EXPECT_THAT(refused([](QuantizeOptions& o) { o.group = 48; }), HasSubstr("group must be 0"));
  EXPECT_THAT(refused([](QuantizeOptions& o) { o.group = 64; }), HasSubstr("group must divide"))
      << "down has 32 inputs";
  EXPECT_THAT(refused([](QuantizeOptions& o) { o.inputs.pop_back(); }),
              HasSubstr("no whole rows of 64"));

  // A quantised model is not quantised again.
  ASSERT_OK_AND_ASSIGN(const QuantizedModel once, QuantizeModel(Config(), *file, {}));
  EXPECT_THAT(QuantizeModel(Config(), *FileOf(once), {}).status().message(),
              HasSubstr("0.weight: wanted F32, F16, BF16 or F64 weights, found none (they are "
                        "quantised already)"));
}

}  // namespace
}  // namespace penstock::expert
