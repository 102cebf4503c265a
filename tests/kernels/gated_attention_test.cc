#include "kernels/gated_attention/gated_attention.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using GatedAttentionTest = KernelTest<GatedAttentionImpl, GatedAttentionImpls>;
INSTANTIATE_TEST_SUITE_P(All, GatedAttentionTest, testing::ValuesIn(Names(GatedAttentionImpls())),
                         ParamName);

struct Weights {
  std::vector<float> q, k, v, o, gate;
};

Weights RandomWeights(int64_t d, int64_t gates) {
  const float scale = 1.5f / std::sqrt(static_cast<float>(d));
  return {RandomFloats(d * d, 1, scale), RandomFloats(d * d, 2, scale),
          RandomFloats(d * d, 3, scale), RandomFloats(d * d, 4, scale),
          RandomFloats(gates * d, 5, scale)};
}

PackedGatedAttention Pack(const Weights& w, int64_t d, int64_t heads, GateShape shape, bool norm,
                          bool residual) {
  return PackedGatedAttention(w.q.data(), w.k.data(), w.v.data(), w.o.data(), w.gate.data(),
                              norm ? RandomFloats(d, 6).data() : nullptr, d, heads, shape,
                              residual);
}

PackedGatedAttention RandomAttention(int64_t d, int64_t heads, GateShape shape, bool norm = true,
                                     bool residual = true) {
  return Pack(RandomWeights(d, shape == GateShape::kHeadWise ? heads : d), d, heads, shape, norm,
              residual);
}

std::vector<float> Compute(const GatedAttentionImpl& impl, const GatedAttentionWeights& w,
                           int64_t rows, int64_t positions, const float* x) {
  std::vector<float> y = Poison(rows * positions * w.out.out);
  GuardedWorkspace workspace(GatedAttentionWorkspaceBytes(w, rows, positions));
  EXPECT_TRUE(impl.run({w, rows, positions, x, y.data(), workspace.get()}).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(GatedAttentionTest, MatchesReference) {
  struct {
    int64_t rows, positions, d, heads;
  } shapes[] = {{1, 1, 1, 1},    {3, 1, 16, 4},  {2, 5, 21, 3},   {2, 24, 32, 2}, {1, 25, 35, 5},
                {1, 144, 32, 1}, {3, 49, 64, 4}, {1, 200, 48, 2}, {1, 9, 160, 2}};
  for (const auto& s : shapes) {
    for (GateShape shape : {GateShape::kHeadWise, GateShape::kElementWise}) {
      const PackedGatedAttention attention =
          RandomAttention(s.d, s.heads, shape, s.rows > 1, s.rows > 1);
      const std::vector<float> x = RandomFloats(s.rows * s.positions * s.d, 7);
      EXPECT_LE(
          RelativeError(Compute(impl(), attention.weights(), s.rows, s.positions, x.data()),
                        Compute(reference(), attention.weights(), s.rows, s.positions, x.data())),
          kTolerance)
          << s.positions << " " << s.d << " " << s.heads;
    }
  }
}

// d = 1, all weights 1 but the gate's: position p of x = (0, 1) with q = k = v = x.
TEST_P(GatedAttentionTest, ComputesGatedSoftmaxAverage) {
  const float one = 1, gate = 3;
  const PackedGatedAttention attention(&one, &one, &one, &one, &gate, nullptr, 1, 1,
                                       GateShape::kHeadWise, false);
  const float x[] = {0, 1};
  const std::vector<float> y = Compute(impl(), attention.weights(), 1, 2, x);
  const double e = std::exp(1.0);
  EXPECT_NEAR(y[0], 0.5 * 0.5, 1e-6);  // sigmoid(0) = 1/2
  EXPECT_NEAR(y[1], e / (1 + e) / (1 + std::exp(-3.0)), 1e-6);
}

TEST_P(GatedAttentionTest, OpenGateIsPlainAttentionAndShutGateIsZero) {
  constexpr int64_t d = 8, positions = 6;
  Weights w = RandomWeights(d, d);
  // The last feature of x is 1: it alone sets the gate logits.
  std::vector<float> x = RandomFloats(positions * d, 7);
  for (int64_t p = 0; p < positions; ++p) x[p * d + d - 1] = 1;
  std::vector<std::vector<float>> out;
  for (float logit : {0.0f, 1e30f, -1e30f}) {
    std::fill(w.gate.begin(), w.gate.end(), 0.0f);
    for (int64_t i = 0; i < d; ++i) w.gate[i * d + d - 1] = logit;
    const PackedGatedAttention attention = Pack(w, d, 2, GateShape::kElementWise, false, false);
    out.push_back(Compute(impl(), attention.weights(), 1, positions, x.data()));
  }
  for (float& v : out[0]) v *= 2;  // sigmoid(0) = 1/2, so twice that is the plain attention
  EXPECT_TRUE(SameBits(out[0].data(), out[1].data(), positions * d));
  EXPECT_EQ(out[2], std::vector<float>(positions * d, 0.0f));
}

TEST_P(GatedAttentionTest, HeadWiseEqualsElementWiseWithRepeatedColumns) {
  constexpr int64_t d = 24, heads = 3, positions = 17;
  Weights head_wise = RandomWeights(d, heads), element_wise = head_wise;
  element_wise.gate.clear();
  for (int64_t i = 0; i < d; ++i) {
    const float* row = head_wise.gate.data() + i / (d / heads) * d;
    element_wise.gate.insert(element_wise.gate.end(), row, row + d);
  }
  const std::vector<float> x = RandomFloats(positions * d, 7);
  const PackedGatedAttention a = Pack(head_wise, d, heads, GateShape::kHeadWise, true, true);
  const PackedGatedAttention b = Pack(element_wise, d, heads, GateShape::kElementWise, true, true);
  EXPECT_TRUE(SameBits(Compute(impl(), a.weights(), 1, positions, x.data()).data(),
                       Compute(impl(), b.weights(), 1, positions, x.data()).data(), positions * d));
}

TEST_P(GatedAttentionTest, RowAloneEqualsRowInAnyBatch) {
  constexpr int64_t d = 12, positions = 5, kRows = 67;  // 38 rows share a projection
  const PackedGatedAttention attention = RandomAttention(d, 2, GateShape::kElementWise);
  const std::vector<float> x = RandomFloats(kRows * positions * d, 7);
  std::vector<float> alone;
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> y =
        Compute(impl(), attention.weights(), 1, positions, x.data() + row * positions * d);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int64_t rows = 1; rows <= kRows; ++rows) {
    const std::vector<float> y = Compute(impl(), attention.weights(), rows, positions, x.data());
    ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * positions * d)) << rows;
  }
}

TEST_P(GatedAttentionTest, WithResidualWorksInPlace) {
  constexpr int64_t d = 12, positions = 130, kRows = 3;
  const PackedGatedAttention attention = RandomAttention(d, 2, GateShape::kHeadWise);
  std::vector<float> x = RandomFloats(kRows * positions * d, 7);
  const std::vector<float> expected =
      Compute(impl(), attention.weights(), kRows, positions, x.data());
  GuardedWorkspace workspace(GatedAttentionWorkspaceBytes(attention.weights(), kRows, positions));
  ASSERT_TRUE(impl()
                  .run({attention.weights(), kRows, positions, x.data(), x.data(), workspace.get()})
                  .ok());
  EXPECT_TRUE(SameBits(x.data(), expected.data(), kRows * positions * d));
}

TEST_P(GatedAttentionTest, NanStaysInItsRow) {
  constexpr int64_t d = 12, positions = 5, kRows = 4;
  const PackedGatedAttention attention = RandomAttention(d, 2, GateShape::kElementWise);
  std::vector<float> x = RandomFloats(kRows * positions * d, 7);
  x[2 * positions * d + 3] = kNan;
  const std::vector<float> y = Compute(impl(), attention.weights(), kRows, positions, x.data());
  for (int64_t i = 0; i < kRows * positions * d; ++i) {
    EXPECT_EQ(std::isnan(y[i]), i / (positions * d) == 2) << i;
  }
}

TEST_P(GatedAttentionTest, LargeScoresDoNotOverflow) {
  const float one = 1, big = 1e15f, zero = 0;
  const PackedGatedAttention attention(&big, &big, &one, &one, &zero, nullptr, 1, 1,
                                       GateShape::kHeadWise, false);
  const float x[] = {1, 2};
  EXPECT_EQ(Compute(impl(), attention.weights(), 1, 2, x), (std::vector<float>{1, 1}));
}

TEST_P(GatedAttentionTest, EmptyWorkAndBadShapes) {
  const PackedGatedAttention attention = RandomAttention(12, 2, GateShape::kElementWise);
  EXPECT_TRUE(impl().run({attention.weights(), 0, 5, nullptr, nullptr, {}}).ok());
  EXPECT_TRUE(impl().run({attention.weights(), 5, 0, nullptr, nullptr, {}}).ok());
  GatedAttentionWeights five_heads = attention.weights();
  five_heads.heads = 5;
  EXPECT_EQ(impl().run({five_heads, 0, 5, nullptr, nullptr, {}}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
