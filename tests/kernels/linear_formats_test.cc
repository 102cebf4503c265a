// `linear` in every weight format. Its float32 form is linear_test.cc's.

#include "kernels/linear/linear.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using LinearFormatsTest = KernelTest<LinearImpl, LinearImpls>;
INSTANTIATE_TEST_SUITE_P(All, LinearFormatsTest, testing::ValuesIn(Names(LinearImpls())),
                         ParamName);

struct Stored {
  WeightFormat format;
  int64_t group;
};

std::vector<Stored> AllStored(int64_t in) {
  std::vector<Stored> all;
  for (const WeightFormat format : WeightFormats()) {
    if (format == WeightFormat::kF32) continue;
    for (const int64_t group : {0, 32, 64, 128}) {
      if (CheckGroup(format, in, group).ok()) all.push_back({format, group});
    }
  }
  return all;
}

// Rounded to bfloat16, which is what entries that multiply in it do: so every entry computes with
// the same numbers, and the tolerance is that of float32 sums.
std::vector<float> Bf16Floats(int64_t count, uint32_t seed) {
  std::vector<float> values = RandomFloats(count, seed);
  for (float& v : values) v = FromBf16(ToBf16(v));
  return values;
}

Status RunLinear(const LinearImpl& impl, const PackedLinear& packed, int64_t rows, const float* x,
           float* y, const float* residual = nullptr) {
  GuardedWorkspace workspace(LinearWorkspaceBytes(packed.weights(), rows));
  const Status status =
      impl.run({packed.weights(), rows, x, 0, y, 0, residual, workspace.get()});
  EXPECT_TRUE(workspace.GuardIntact());
  return status;
}

struct Shape {
  int64_t rows, in, out;
};
// Tails of words, panels and tiles; 2048 inputs are rows of one L1 set, 3008 several row blocks. From 12 rows
// on, and from 48, codes are expanded for all rows together, a run of inputs at a time.
constexpr Shape kShapes[] = {{1, 1, 1},    {1, 128, 128}, {2, 7, 257},   {3, 64, 15},  {4, 31, 17},
                             {5, 3, 100},  {6, 96, 33},   {7, 2048, 48}, {12, 50, 96}, {13, 9, 161},
                             {49, 384, 64}, {67, 37, 83}, {60, 3008, 5},  {97, 640, 35}};

TEST_P(LinearFormatsTest, MatchesReference) {
  for (const Shape& s : kShapes) {
    for (const auto& [format, group] : AllStored(s.in)) {
      const PackedLinear packed(RandomFloats(s.out * s.in, 1).data(),
                                RandomFloats(s.out, 2).data(), s.in, s.out, format, group);
      const std::vector<float> x = Bf16Floats(s.rows * s.in, 3);
      const std::vector<float> residual = RandomFloats(s.rows * s.out, 4);
      std::vector<float> y = Poison(s.rows * s.out), expected = Poison(s.rows * s.out);
      ASSERT_TRUE(RunLinear(impl(), packed, s.rows, x.data(), y.data(), residual.data()).ok());
      ASSERT_TRUE(RunLinear(reference(), packed, s.rows, x.data(), expected.data(), residual.data()).ok());
      EXPECT_LE(RelativeError(y, expected), kTolerance)
          << FormatName(format) << " group " << group << ": " << s.rows << " x " << s.in << " x "
          << s.out;
    }
  }
}

TEST_P(LinearFormatsTest, AnyFloatsAreWithinBfloat16sRounding) {
  for (const auto& [format, group] : AllStored(256)) {
    const PackedLinear packed(RandomFloats(64 * 256, 1).data(), nullptr, 256, 64, format, group);
    const std::vector<float> x = RandomFloats(9 * 256, 3);
    std::vector<float> y = Poison(9 * 64), expected = Poison(9 * 64);
    ASSERT_TRUE(RunLinear(impl(), packed, 9, x.data(), y.data()).ok());
    ASSERT_TRUE(RunLinear(reference(), packed, 9, x.data(), expected.data()).ok());
    EXPECT_LE(RelativeError(y, expected), 5e-3) << FormatName(format);
  }
}

// Every code of the format at every place of a word: a weight of one input at a time.
TEST_P(LinearFormatsTest, EveryCodeAtEveryPlaceIsItsValue) {
  constexpr int64_t kIn = 32;
  for (const WeightFormat format : WeightFormats()) {
    if (!IsScaled(format)) continue;
    CodedMatrix matrix = {format, kIn, 1 << FormatBits(format), 0, {}, {}};
    for (int64_t n = 0; n < matrix.out; ++n) {
      const float value = CodeValue(format, static_cast<uint32_t>(n));
      matrix.codes.insert(matrix.codes.end(), kIn,
                          std::isnan(value) ? uint8_t{0} : static_cast<uint8_t>(n));
      matrix.scales.push_back(0.5f);
    }
    const PackedLinear packed(matrix, nullptr);
    std::vector<float> x(kIn * kIn, 0.0f);  // the unit matrix: row k has input k
    for (int64_t k = 0; k < kIn; ++k) x[static_cast<size_t>(k * kIn + k)] = 1;
    std::vector<float> y = Poison(kIn * matrix.out);
    ASSERT_TRUE(RunLinear(impl(), packed, kIn, x.data(), y.data()).ok());
    for (int64_t k = 0; k < kIn; ++k) {
      for (int64_t n = 0; n < matrix.out; ++n) {
        const auto code = matrix.codes[static_cast<size_t>(n * kIn)];
        EXPECT_EQ(y[static_cast<size_t>(k * matrix.out + n)], CodeValue(format, code) * 0.5f)
            << FormatName(format) << " code " << n << " at " << k;
      }
    }
  }
}

TEST_P(LinearFormatsTest, RowAloneEqualsRowInAnyBatch) {
  for (const Shape& s : {Shape{14, 37, 83}, Shape{14, 1024, 17}, Shape{14, 128, 160}}) {
    for (const auto& [format, group] : AllStored(s.in)) {
      const PackedLinear packed(RandomFloats(s.out * s.in, 1).data(), nullptr, s.in, s.out, format,
                                group);
      const std::vector<float> x = RandomFloats(s.rows * s.in, 3);
      std::vector<float> alone = Poison(s.rows * s.out);
      for (int64_t row = 0; row < s.rows; ++row) {
        ASSERT_TRUE(
            RunLinear(impl(), packed, 1, x.data() + row * s.in, alone.data() + row * s.out).ok());
      }
      for (int64_t rows = 1; rows <= s.rows; ++rows) {
        std::vector<float> y = Poison(rows * s.out);
        ASSERT_TRUE(RunLinear(impl(), packed, rows, x.data(), y.data()).ok());
        ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * s.out))
            << FormatName(format) << " group " << group << ": " << rows << " rows of " << s.in;
      }
    }
  }
}

TEST_P(LinearFormatsTest, RowAloneEqualsRowInALargeBatch) {
  constexpr int64_t kMost = 100, kOut = 49;
  for (const int64_t in : {300, 640}) {
    for (const auto& [format, group] : AllStored(in)) {
      const PackedLinear packed(RandomFloats(kOut * in, 1).data(), nullptr, in, kOut, format, group);
      const std::vector<float> x = RandomFloats(kMost * in, 3);
      std::vector<float> alone = Poison(kMost * kOut);
      for (int64_t row = 0; row < kMost; ++row) {
        ASSERT_TRUE(
            RunLinear(impl(), packed, 1, x.data() + row * in, alone.data() + row * kOut).ok());
      }
      for (const int64_t rows : {47, 48, 49, 95, 96, 100}) {
        std::vector<float> y = Poison(rows * kOut);
        ASSERT_TRUE(RunLinear(impl(), packed, rows, x.data(), y.data()).ok());
        ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * kOut))
            << FormatName(format) << " group " << group << ": " << rows << " rows of " << in;
      }
    }
  }
}

TEST_P(LinearFormatsTest, PickedRowsAreThoseRows) {
  constexpr int64_t kRows = 17, kTable = 23, kIn = 128, kOut = 49;
  const std::vector<float> table = RandomFloats(kTable * kIn, 3);
  std::vector<int32_t> picked(kRows);
  std::vector<float> x;
  for (size_t r = 0; r < picked.size(); ++r) {
    picked[r] = static_cast<int32_t>(r * 7 % kTable / 2 * 2);  // some twice
    const auto row = table.begin() + picked[r] * kIn;
    x.insert(x.end(), row, row + kIn);
  }
  for (const auto& [format, group] : AllStored(kIn)) {
    const PackedLinear packed(RandomFloats(kOut * kIn, 1).data(), nullptr, kIn, kOut, format,
                              group);
    std::vector<float> expected = Poison(kRows * kOut), y = Poison(kRows * kOut);
    ASSERT_TRUE(RunLinear(impl(), packed, kRows, x.data(), expected.data()).ok());
    GuardedWorkspace workspace(LinearWorkspaceBytes(packed.weights(), kRows));
    const LinearArgs args = {packed.weights(), kRows,   table.data(),    0,            y.data(),
                             0,                nullptr, workspace.get(), picked.data()};
    ASSERT_TRUE(impl().run(args).ok());
    EXPECT_EQ(y, expected) << FormatName(format) << ":" << group;
  }
}

TEST_P(LinearFormatsTest, RefusesToPickRowsOfFloat32) {
  const PackedLinear packed(RandomFloats(4, 1).data(), nullptr, 2, 2);
  const std::vector<float> x = RandomFloats(4, 2);
  const std::vector<int32_t> picked = {1, 0};
  std::vector<float> y = Poison(4);
  const Status status =
      impl().run({packed.weights(), 2, x.data(), 0, y.data(), 0, nullptr, {}, picked.data()});
  EXPECT_EQ(status.code, Code::kInvalidArgument);
}

TEST_P(LinearFormatsTest, NanStaysInItsRow) {
  for (const auto& [format, group] : AllStored(32)) {
    const PackedLinear packed(RandomFloats(20 * 32, 1).data(), nullptr, 32, 20, format, group);
    for (const int64_t rows : {7, 50}) {
      std::vector<float> x = RandomFloats(rows * 32, 2), y = Poison(rows * 20);
      x[3 * 32 + 5] = kNan;
      ASSERT_TRUE(RunLinear(impl(), packed, rows, x.data(), y.data()).ok());
      for (int64_t i = 0; i < rows * 20; ++i) {
        EXPECT_EQ(std::isnan(y[static_cast<size_t>(i)]), i / 20 == 3) << i;
      }
    }
  }
}

TEST_P(LinearFormatsTest, EmptyWorkAndNoInputs) {
  const float bias[] = {1, 2, 3};
  for (const auto& [format, group] : AllStored(0)) {
    const PackedLinear packed(nullptr, bias, 0, 3, format, group);
    for (const size_t rows : {2, 50}) {
      std::vector<float> y = Poison(static_cast<int64_t>(3 * rows));
      ASSERT_TRUE(RunLinear(impl(), packed, static_cast<int64_t>(rows), nullptr, y.data()).ok());
      for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], bias[i % 3]) << i;
    }
    EXPECT_TRUE(RunLinear(impl(), packed, 0, nullptr, nullptr).ok());
  }
}

TEST_P(LinearFormatsTest, RefusesAWorkspaceTooSmall) {
  const PackedLinear packed(RandomFloats(64, 1).data(), nullptr, 32, 2, WeightFormat::kInt4, 32);
  std::vector<float> x(32), y(2);
  LinearArgs args = {packed.weights(), 1, x.data(), 0, y.data(), 0, nullptr, {}};
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  std::vector<char> scratch(LinearWorkspaceBytes(packed.weights(), 1) - 1);
  args.workspace = {scratch.data(), scratch.size()};
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

TEST(LinearFormatsSizeTest, PackedBytesAreTheFormats) {
  constexpr int64_t kIn = 1024, kOut = 256;
  const std::vector<float> weight = RandomFloats(kIn * kOut, 1);
  for (const auto& [format, group] : AllStored(kIn)) {
    const PackedLinear packed(weight.data(), nullptr, kIn, kOut, format, group);
    const int64_t scales = IsScaled(format) ? (group == 0 ? 1 : kIn / group) : 0;
    EXPECT_EQ(packed.bytes(), kOut * (kIn * FormatBits(format) / 8 + 4 * scales) + 4 * kOut);
  }
}

}  // namespace
}  // namespace penstock::kernels
