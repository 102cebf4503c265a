#include "kernels/exit_gate/exit_gate.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using ExitGateTest = KernelTest<ExitGateImpl, ExitGateImpls>;
INSTANTIATE_TEST_SUITE_P(All, ExitGateTest, testing::ValuesIn(Names(ExitGateImpls())), ParamName);

struct Gates {
  std::vector<float> gate, features;
  std::vector<uint8_t> exit;
};

ExitGateArgs Args(int64_t classes) {
  ExitGateArgs args;
  args.classes = classes;
  const float w[] = {2.0f, -0.7f, 1.5f, -0.4f};
  std::copy_n(w, kExitFeatures, args.w);
  args.b = -0.9f;
  return args;
}

// args.rows from the size of logits; outputs poisoned before.
Gates Compute(const ExitGateImpl& impl, ExitGateArgs args, const std::vector<float>& logits) {
  args.rows = static_cast<int64_t>(logits.size()) / args.classes;
  Gates g = {Poison(args.rows), Poison(args.rows * kExitFeatures),
             std::vector<uint8_t>(static_cast<size_t>(args.rows), 77)};
  args.logits = logits.data();
  args.gate = g.gate.data();
  args.exit = g.exit.data();
  args.features = g.features.data();
  EXPECT_TRUE(impl.run(args).ok());
  return g;
}

TEST_P(ExitGateTest, EqualsReference) {
  for (int64_t classes : {1, 2, 3, 7, 8, 9, 16, 17, 33, 100, 1000}) {
    for (float spread : {0.1f, 2.0f, 30.0f}) {
      const uint32_t seed = static_cast<uint32_t>(classes);
      SCOPED_TRACE("classes=" + std::to_string(classes) + " spread=" + std::to_string(spread) +
                   " seed=" + std::to_string(seed));
      const std::vector<float> logits = RandomFloats(23 * classes, seed, spread);
      const Gates a = Compute(impl(), Args(classes), logits);
      const Gates e = Compute(reference(), Args(classes), logits);
      EXPECT_LE(RelativeError(a.gate, e.gate), kTolerance);
      EXPECT_LE(RelativeError(a.features, e.features), kTolerance);
      EXPECT_EQ(a.exit, e.exit);
    }
  }
}

TEST_P(ExitGateTest, OneHotHasNoEntropyAndFullMargin) {
  std::vector<float> logits(10, -kInf);
  logits[4] = 3;
  EXPECT_EQ(Compute(impl(), Args(10), logits).features, (std::vector<float>{1, 0, 1, 0}));
  logits.assign(10, -2.0f);
  logits[7] = kInf;
  EXPECT_EQ(Compute(impl(), Args(10), logits).features, (std::vector<float>{1, 0, 1, 0}));
  EXPECT_EQ(Compute(impl(), Args(1), {-5.0f}).features, (std::vector<float>{1, 0, 1, 0}));
}

TEST_P(ExitGateTest, UniformHasTheLargestEntropyAndNoMargin) {
  const Gates g = Compute(impl(), Args(37), std::vector<float>(37, 1.25f));
  EXPECT_NEAR(g.features[0], 1.0 / 37, 1e-7);
  EXPECT_NEAR(g.features[1], std::log(37.0), 1e-5);
  EXPECT_EQ(g.features[2], 0.0f);
  EXPECT_NEAR(g.features[3], std::log(37.0), 1e-5);
}

TEST_P(ExitGateTest, RowsWithoutADistributionNeverLeave) {
  for (int64_t classes : {1, 3, 8, 21}) {
    ExitGateArgs args = Args(classes);
    args.b = 100;  // everything else leaves
    args.threshold = 0;
    std::vector<float> logits = RandomFloats(4 * classes, 3);
    logits[static_cast<size_t>(2 * classes - 1)] = kNan;
    std::fill_n(logits.begin() + 2 * classes, classes, -kInf);
    const Gates g = Compute(impl(), args, logits);
    EXPECT_EQ(g.exit, (std::vector<uint8_t>{1, 0, 0, 1}));
    EXPECT_EQ(g.gate[1], 0.0f);
    EXPECT_EQ(g.gate[2], 0.0f);
    for (size_t i = 4; i < 12; ++i) EXPECT_EQ(g.features[i], 0.0f);
  }
}

TEST_P(ExitGateTest, NanWeightsKeepEverybody) {
  ExitGateArgs args = Args(5);
  args.b = kNan;
  EXPECT_EQ(Compute(impl(), args, RandomFloats(10, 6)).exit, (std::vector<uint8_t>{0, 0}));
}

TEST_P(ExitGateTest, ThresholdIsReachedByEquality) {
  ExitGateArgs args = Args(2);
  std::fill_n(args.w, kExitFeatures, 0.0f);
  args.b = 0;  // gate = 0.5 exactly
  EXPECT_EQ(Compute(impl(), args, {1, 2}).exit[0], 1);
  args.threshold = std::nextafter(0.5f, 1.0f);
  EXPECT_EQ(Compute(impl(), args, {1, 2}).exit[0], 0);
}

TEST_P(ExitGateTest, OrderOfClassesDoesNotMatter) {
  std::vector<float> logits = RandomFloats(65, 8, 3.0f);
  const Gates a = Compute(impl(), Args(65), logits);
  std::reverse(logits.begin(), logits.end());
  EXPECT_LE(RelativeError(Compute(impl(), Args(65), logits).features, a.features), 1e-6);
}

TEST_P(ExitGateTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 67, kClasses = 41;
  const std::vector<float> logits = RandomFloats(kRows * kClasses, 9, 2.0f);
  const Gates batch = Compute(impl(), Args(kClasses), logits);
  for (int64_t t = 0; t < kRows; ++t) {
    const Gates alone =
        Compute(impl(), Args(kClasses),
                {logits.begin() + t * kClasses, logits.begin() + (t + 1) * kClasses});
    EXPECT_TRUE(SameBits(alone.gate.data(), batch.gate.data() + t, 1));
    EXPECT_TRUE(SameBits(alone.features.data(), batch.features.data() + t * kExitFeatures, 4));
    EXPECT_EQ(alone.exit[0], batch.exit[static_cast<size_t>(t)]);
  }
}

TEST_P(ExitGateTest, FeaturesMayBeLeftOut) {
  const std::vector<float> logits = {1, 2, 4};
  float gate = kNan;
  uint8_t exit = 77;
  ExitGateArgs args = Args(3);
  args.rows = 1;
  args.logits = logits.data();
  args.gate = &gate;
  args.exit = &exit;
  ASSERT_TRUE(impl().run(args).ok());
  EXPECT_EQ(gate, Compute(impl(), Args(3), logits).gate[0]);
}

TEST_P(ExitGateTest, RefusesWhatItCannotDo) {
  EXPECT_TRUE(impl().run(Args(4)).ok());  // no rows
  EXPECT_EQ(impl().run(Args(0)).code, Code::kInvalidArgument);
  ExitGateArgs args = Args(4);
  args.rows = 1;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  args.rows = -1;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
