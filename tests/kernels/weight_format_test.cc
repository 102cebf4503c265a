#include "kernels/linear/weight_format.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

std::vector<WeightFormat> Scaled() {
  std::vector<WeightFormat> formats;
  for (const WeightFormat format : WeightFormats()) {
    if (IsScaled(format)) formats.push_back(format);
  }
  return formats;
}

TEST(WeightFormatTest, NamesReadBack) {
  ASSERT_EQ(WeightFormats().size(), 8u);
  for (const WeightFormat format : WeightFormats()) {
    EXPECT_EQ(ParseFormat(FormatName(format)), format);
  }
  EXPECT_EQ(ParseFormat("int3"), std::nullopt);
}

TEST(WeightFormatTest, EveryCodeIsTheNearestOfItsValue) {
  ASSERT_EQ(Scaled().size(), 5u);
  for (const WeightFormat format : Scaled()) {
    for (uint32_t code = 0; code < 1u << FormatBits(format); ++code) {
      const float value = CodeValue(format, code);
      if (std::isnan(value)) continue;                                      // fp8's 0x7F and 0xFF
      if (format == WeightFormat::kTernary && code == 3) continue;          // nobody's
      if (format == WeightFormat::kInt8 && code == 0x80) continue;          // -128: not written
      EXPECT_EQ(NearestCode(format, value), code) << FormatName(format) << " " << code;
      EXPECT_EQ(FromBf16(ToBf16(value)), value) << "exact in bfloat16";
    }
  }
}

TEST(WeightFormatTest, NearestCodesAreWhatComparingWithAllFinds) {
  for (const WeightFormat format : {WeightFormat::kInt4, WeightFormat::kInt8,
                                    WeightFormat::kFp8E4m3, WeightFormat::kTernary}) {
    for (const float value : RandomFloats(2000, 1, 60)) {
      float best = kInf;
      for (uint32_t code = 0; code < 1u << FormatBits(format); ++code) {
        if (format == WeightFormat::kInt8 && code == 0x80) continue;
        const float at = CodeValue(format, code);
        if (!std::isnan(at)) best = std::min(best, std::abs(at - value));
      }
      EXPECT_EQ(std::abs(CodeValue(format, NearestCode(format, value)) - value), best) << value;
    }
  }
}

TEST(WeightFormatTest, KnownFp8Values) {
  EXPECT_EQ(CodeValue(WeightFormat::kFp8E4m3, 0x7E), 448.0f);
  EXPECT_EQ(CodeValue(WeightFormat::kFp8E4m3, 0x38), 1.0f);
  EXPECT_EQ(CodeValue(WeightFormat::kFp8E4m3, 0x01), 0x1p-9f);
  EXPECT_EQ(CodeValue(WeightFormat::kFp8E4m3, 0x08), 0x1p-6f);
  EXPECT_EQ(CodeValue(WeightFormat::kFp8E4m3, 0xC0), -2.0f);
  EXPECT_TRUE(std::isnan(CodeValue(WeightFormat::kFp8E4m3, 0x7F)));
  EXPECT_EQ(NearestCode(WeightFormat::kFp8E4m3, 1e9f), 0x7Eu);
  EXPECT_EQ(NearestCode(WeightFormat::kFp8E4m3, 17.0f), 0x58u) << "a tie goes to the even: 16";
}

TEST(WeightFormatTest, PowersOfTwoRoundInTheLogarithm) {
  EXPECT_EQ(CodeValue(WeightFormat::kPot4, NearestCode(WeightFormat::kPot4, 0.72f)), 1.0f);
  EXPECT_EQ(CodeValue(WeightFormat::kPot4, NearestCode(WeightFormat::kPot4, 0.70f)), 0.5f);
  EXPECT_EQ(CodeValue(WeightFormat::kPot4, NearestCode(WeightFormat::kPot4, -0.3f)), -0.25f);
  EXPECT_EQ(CodeValue(WeightFormat::kPot4, NearestCode(WeightFormat::kPot4, 0.0f)), 0x1p-7f);
}

TEST(WeightFormatTest, HalvesAreWhatTheProcessorRoundsTo) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = FromF16(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(ToF16(value), bits);
  }
  EXPECT_EQ(ToF16(65519.0f), 0x7BFF);
  EXPECT_EQ(ToF16(65520.0f), 0x7C00);
  EXPECT_EQ(ToF16(1 + 0x1p-11f), 0x3C00) << "a tie goes to the even";
  EXPECT_EQ(ToF16(1 + 0x3p-11f), 0x3C02);
  EXPECT_EQ(ToF16(0x1p-25f), 0x0000);
  EXPECT_EQ(ToF16(0x3p-26f), 0x0001);
  EXPECT_TRUE(std::isnan(FromF16(ToF16(kNan))));
  EXPECT_TRUE(std::isnan(FromBf16(ToBf16(kNan))));
  EXPECT_EQ(ToBf16(1 + 0x1p-8f), 0x3F80);
  EXPECT_EQ(ToBf16(1 + 0x3p-8f), 0x3F82);
}

TEST(WeightFormatTest, QuantisedWeightsAreWithinHalfAStep) {
  constexpr int64_t kIn = 128, kOut = 6;
  const std::vector<float> weight = RandomFloats(kIn * kOut, 3, 0.02f);
  for (const int64_t group : {0, 32, 64, 128}) {
    const CodedMatrix matrix = Quantize(weight.data(), kIn, kOut, WeightFormat::kInt8, group);
    ASSERT_TRUE(CheckCoded(matrix).ok());
    std::vector<float> back(weight.size());
    Dequantize(matrix, back.data());
    const int64_t step = group == 0 ? kIn : group;
    for (int64_t i = 0; i < kIn * kOut; ++i) {
      const float scale = matrix.scales[i / kIn * matrix.groups() + i % kIn / step];
      EXPECT_LE(std::abs(back[i] - weight[i]), scale * 0.5001f);
    }
  }
}

TEST(WeightFormatTest, SmallerGroupsLoseLess) {
  constexpr int64_t kIn = 256, kOut = 16;
  const std::vector<float> weight = RandomFloats(kIn * kOut, 4);
  for (const WeightFormat format : {WeightFormat::kInt4, WeightFormat::kInt8}) {
    double before = kInf;
    for (const int64_t group : {0, 128, 32}) {
      std::vector<float> back(weight.size());
      Dequantize(Quantize(weight.data(), kIn, kOut, format, group), back.data());
      const double error = RelativeError(back, weight);
      EXPECT_LT(error, before);
      before = error;
    }
  }
}

TEST(WeightFormatTest, TernaryScaleIsTheMeanMagnitude) {
  const float weight[] = {1, -1, 0.2f, -0.2f};
  const CodedMatrix matrix = Quantize(weight, 4, 1, WeightFormat::kTernary, 0);
  EXPECT_FLOAT_EQ(matrix.scales[0], 0.6f);
  EXPECT_EQ(matrix.codes, (std::vector<uint8_t>{1, 2, 0, 0}));
}

TEST(WeightFormatTest, WeightsOfZeroStayZeroWhereThereIsOne) {
  const std::vector<float> weight(64, 0.0f);
  for (const WeightFormat format : Scaled()) {
    const CodedMatrix matrix = Quantize(weight.data(), 64, 1, format, 32);
    ASSERT_TRUE(CheckCoded(matrix).ok());
    std::vector<float> back(64, 1.0f);
    Dequantize(matrix, back.data());
    for (const float v : back) {
      if (format == WeightFormat::kPot4) {
        EXPECT_EQ(std::abs(v), 0x1p-7f);
      } else {
        EXPECT_EQ(v, 0);
      }
    }
  }
}

TEST(WeightFormatTest, RefusesWhatIsNoMatrix) {
  const std::vector<float> weight = RandomFloats(64, 5);
  const CodedMatrix good = Quantize(weight.data(), 64, 1, WeightFormat::kInt4, 32);
  ASSERT_TRUE(CheckCoded(good).ok());
  const auto refused = [&](const auto& change) {
    CodedMatrix bad = good;
    change(bad);
    return CheckCoded(bad).code == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.codes[3] = 16; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.codes.pop_back(); }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.scales[1] = kNan; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.scales[1] = kInf; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.scales[1] = 0; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.scales.push_back(1); }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.group = 48; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) { m.format = WeightFormat::kBf16; }));
  EXPECT_TRUE(refused([](CodedMatrix& m) {
    m.format = WeightFormat::kFp8E4m3;
    m.codes[0] = 0x7F;
  }));
  EXPECT_EQ(CheckGroup(WeightFormat::kInt4, 96, 64).code, Code::kInvalidArgument);
  EXPECT_EQ(CheckGroup(WeightFormat::kF32, 64, 64).code, Code::kInvalidArgument);
  EXPECT_TRUE(CheckGroup(WeightFormat::kInt4, 192, 64).ok());
}

}  // namespace
}  // namespace penstock::kernels
