#include "kernels/gated_mlp/gated_mlp.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using GatedMlpTest = KernelTest<GatedMlpImpl, GatedMlpImpls>;
INSTANTIATE_TEST_SUITE_P(All, GatedMlpTest, testing::ValuesIn(Names(GatedMlpImpls())), ParamName);

constexpr Activation kActivations[] = {Activation::kSwiGlu, Activation::kGeGluTanh,
                                       Activation::kGeGluErf, Activation::kReGlu2,
                                       Activation::kClampedSwiGlu};

PackedGatedMlp RandomMlp(int64_t d, int64_t f, int64_t o, Activation activation, bool norm,
                         bool residual) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  return PackedGatedMlp(RandomFloats(f * d, 1, scale).data(), RandomFloats(f * d, 2, scale).data(),
                        RandomFloats(o * f, 3, scale).data(),
                        norm ? RandomFloats(d, 4).data() : nullptr, d, f, o, activation, residual);
}

std::vector<float> Compute(const GatedMlpImpl& impl, const GatedMlpWeights& w, int64_t rows,
                           const float* x) {
  std::vector<float> y = Poison(rows * w.down.out);
  GuardedWorkspace workspace(GatedMlpWorkspaceBytes(w, rows));
  EXPECT_TRUE(impl.run({w, rows, x, y.data(), workspace.get()}).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(GatedMlpTest, MatchesReference) {
  struct {
    int64_t rows, d, f, o;
  } shapes[] = {{1, 1, 1, 1}, {5, 24, 40, 24}, {7, 17, 9, 17}, {100, 40, 56, 40}};
  for (const auto& s : shapes) {
    for (Activation a : kActivations) {
      for (bool norm : {false, true}) {
        const PackedGatedMlp mlp = RandomMlp(s.d, s.f, s.o, a, norm, norm);
        const std::vector<float> x = RandomFloats(s.rows * s.d, 5, 2.0f);
        EXPECT_LE(RelativeError(Compute(impl(), mlp.weights(), s.rows, x.data()),
                                Compute(reference(), mlp.weights(), s.rows, x.data())),
                  kTolerance)
            << s.rows << " " << s.d << " " << static_cast<int>(a) << " " << norm;
      }
    }
  }
}

TEST_P(GatedMlpTest, OutputsMayDifferFromInputsInNumber) {
  const PackedGatedMlp mlp = RandomMlp(20, 33, 7, Activation::kSwiGlu, true, false);
  const std::vector<float> x = RandomFloats(6 * 20, 5);
  EXPECT_LE(RelativeError(Compute(impl(), mlp.weights(), 6, x.data()),
                          Compute(reference(), mlp.weights(), 6, x.data())),
            kTolerance);
}

// silu(2) = 1.761594156, gelu_tanh(2) = 1.954597694, gelu_erf(2) = 1.954499736.
TEST_P(GatedMlpTest, ActivationsAreTheirDefinitions) {
  const float one = 1, x = 2;
  struct {
    Activation activation;
    double value;
  } cases[] = {{Activation::kSwiGlu, 2 * 1.761594156},
               {Activation::kGeGluTanh, 2 * 1.954597694},
               {Activation::kGeGluErf, 2 * 1.954499736},
               {Activation::kReGlu2, 8},
               {Activation::kClampedSwiGlu, 5.806976}};
  for (const auto& c : cases) {
    const PackedGatedMlp mlp(&one, &one, &one, nullptr, 1, 1, 1, c.activation, false);
    EXPECT_NEAR(Compute(impl(), mlp.weights(), 1, &x)[0], c.value, 1e-6);
  }
}

TEST_P(GatedMlpTest, LargeGatesSaturate) {
  const float one = 1;
  const float x[] = {-1000, 1000};  // act(-1000) = 0, act(1000) = 1000
  for (Activation a : {Activation::kSwiGlu, Activation::kGeGluTanh, Activation::kGeGluErf}) {
    const PackedGatedMlp mlp(&one, &one, &one, nullptr, 1, 1, 1, a, false);
    const std::vector<float> y = Compute(impl(), mlp.weights(), 2, x);
    EXPECT_EQ(y[0], 0.0f) << static_cast<int>(a);
    EXPECT_EQ(y[1], 1e6f) << static_cast<int>(a);
  }
}

TEST_P(GatedMlpTest, ClampedGatesAndUpsStayInTheirLimits) {
  const float one = 1;
  const float x[] = {-1000, 1000, 8};
  const PackedGatedMlp mlp(&one, &one, &one, nullptr, 1, 1, 1, Activation::kClampedSwiGlu, false);
  const std::vector<float> y = Compute(impl(), mlp.weights(), 3, x);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_NEAR(y[1], 55.99963, 1e-4);  // 7 / (1 + exp(-1.702 * 7)) * (7 + 1)
  EXPECT_EQ(y[2], y[1]);
}

TEST_P(GatedMlpTest, RowAloneEqualsRowInAnyBatch) {
  const PackedGatedMlp mlp = RandomMlp(20, 37, 20, Activation::kGeGluErf, true, true);
  constexpr int64_t kRows = 131;  // more than one block
  const std::vector<float> x = RandomFloats(kRows * 20, 5);
  std::vector<float> alone;
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> y = Compute(impl(), mlp.weights(), 1, x.data() + row * 20);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int64_t rows = 1; rows <= kRows; rows += rows < 67 ? 1 : 16) {
    const std::vector<float> y = Compute(impl(), mlp.weights(), rows, x.data());
    ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * 20)) << rows;
  }
}

TEST_P(GatedMlpTest, WithResidualWorksInPlace) {
  const PackedGatedMlp mlp = RandomMlp(20, 37, 20, Activation::kSwiGlu, true, true);
  std::vector<float> x = RandomFloats(5 * 20, 5);
  const std::vector<float> expected = Compute(impl(), mlp.weights(), 5, x.data());
  GuardedWorkspace workspace(GatedMlpWorkspaceBytes(mlp.weights(), 5));
  ASSERT_TRUE(impl().run({mlp.weights(), 5, x.data(), x.data(), workspace.get()}).ok());
  EXPECT_TRUE(SameBits(x.data(), expected.data(), 5 * 20));
}

TEST_P(GatedMlpTest, NanStaysInItsRow) {
  const PackedGatedMlp mlp = RandomMlp(20, 37, 20, Activation::kSwiGlu, true, true);
  std::vector<float> x = RandomFloats(5 * 20, 5);
  x[2 * 20] = kNan;
  const std::vector<float> y = Compute(impl(), mlp.weights(), 5, x.data());
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(std::isnan(y[i]), i / 20 == 2) << i;
}

TEST_P(GatedMlpTest, EmptyWorkAndShortWorkspace) {
  const PackedGatedMlp mlp = RandomMlp(4, 6, 4, Activation::kSwiGlu, false, false);
  EXPECT_TRUE(impl().run({mlp.weights(), 0, nullptr, nullptr, {}}).ok());
  std::vector<float> x(4), y(4), scratch(1024);
  const size_t bytes = GatedMlpWorkspaceBytes(mlp.weights(), 1);
  EXPECT_EQ(impl().run({mlp.weights(), 1, x.data(), y.data(), {scratch.data(), bytes - 1}}).code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
