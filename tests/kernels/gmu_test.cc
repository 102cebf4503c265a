#include "kernels/gmu/gmu.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using GmuTest = KernelTest<GmuImpl, GmuImpls>;
INSTANTIATE_TEST_SUITE_P(All, GmuTest, testing::ValuesIn(Names(GmuImpls())), ParamName);

PackedGmu RandomGmu(int64_t d, int64_t dm, int64_t o) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  return PackedGmu(RandomFloats(dm * d, 1, scale).data(), RandomFloats(o * dm, 2, scale).data(), d,
                   dm, o);
}

std::vector<float> Compute(const GmuImpl& impl, const GmuWeights& w, int64_t rows, const float* x,
                           const float* memory, int64_t memory_stride = 0) {
  std::vector<float> y = Poison(rows * w.out.out);
  GuardedWorkspace workspace(GmuWorkspaceBytes(w, rows));
  EXPECT_TRUE(impl.run({w, rows, x, memory, memory_stride, y.data(), workspace.get()}).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(GmuTest, MatchesReference) {
  struct {
    int64_t rows, d, dm, o;
  } shapes[] = {{1, 1, 1, 1}, {5, 24, 40, 24}, {7, 17, 9, 33}, {100, 40, 56, 40}};
  for (const auto& s : shapes) {
    const PackedGmu gmu = RandomGmu(s.d, s.dm, s.o);
    const std::vector<float> x = RandomFloats(s.rows * s.d, 3, 2.0f);
    const std::vector<float> m = RandomFloats(s.rows * s.dm, 4);
    const std::vector<float> y = Compute(impl(), gmu.weights(), s.rows, x.data(), m.data());
    EXPECT_LE(RelativeError(y, Compute(reference(), gmu.weights(), s.rows, x.data(), m.data())),
              kTolerance)
        << s.rows << " " << s.d << " " << s.dm << " " << s.o;
    EXPECT_EQ(y, Compute(impl(), gmu.weights(), s.rows, x.data(), m.data()));
  }
}

// silu(2) = 1.761594156.
TEST_P(GmuTest, ComputesItsDefinition) {
  const float one = 1, three = 3, x = 2, memory = 5;
  const PackedGmu gmu(&one, &three, 1, 1, 1);
  EXPECT_NEAR(Compute(impl(), gmu.weights(), 1, &x, &memory)[0], 3 * 5 * 1.761594156, 1e-5);
}

// With Win = I and m = 1 it is Wout silu(x); with m = 0 nothing passes.
TEST_P(GmuTest, MemoryOfOnesIsPlainAndOfZerosIsZero) {
  constexpr int64_t d = 20;
  std::vector<float> identity(d * d), ones(3 * d, 1.0f), zeros(3 * d, 0.0f);
  for (int64_t i = 0; i < d; ++i) identity[i * d + i] = 1;
  const PackedGmu gmu(identity.data(), identity.data(), d, d, d);
  const std::vector<float> x = RandomFloats(3 * d, 3, 2.0f);
  std::vector<float> expected;
  for (const float z : x) expected.push_back(z / (1 + std::exp(-z)));
  EXPECT_LE(RelativeError(Compute(impl(), gmu.weights(), 3, x.data(), ones.data()), expected),
            1e-6);
  EXPECT_EQ(Compute(impl(), gmu.weights(), 3, x.data(), zeros.data()), zeros);
}

TEST_P(GmuTest, MemoryIsReadInPlaceFromWiderRows) {
  const PackedGmu gmu = RandomGmu(20, 12, 8);
  const std::vector<float> x = RandomFloats(5 * 20, 3), wide = RandomFloats(5 * 31, 4);
  std::vector<float> dense;
  for (int64_t row = 0; row < 5; ++row) {
    dense.insert(dense.end(), wide.begin() + row * 31, wide.begin() + row * 31 + 12);
  }
  // No float beyond the last row's twelfth is touched.
  const std::vector<float> cut(wide.begin(), wide.begin() + 4 * 31 + 12);
  EXPECT_EQ(Compute(impl(), gmu.weights(), 5, x.data(), cut.data(), 31),
            Compute(impl(), gmu.weights(), 5, x.data(), dense.data()));
}

TEST_P(GmuTest, RowAloneEqualsRowInAnyBatch) {
  const PackedGmu gmu = RandomGmu(20, 37, 20);
  constexpr int64_t kRows = 131;  // more than one block
  const std::vector<float> x = RandomFloats(kRows * 20, 5), m = RandomFloats(kRows * 37, 6);
  std::vector<float> alone;
  for (int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> y =
        Compute(impl(), gmu.weights(), 1, x.data() + row * 20, m.data() + row * 37);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int64_t rows = 1; rows <= kRows; rows += rows < 67 ? 1 : 16) {
    const std::vector<float> y = Compute(impl(), gmu.weights(), rows, x.data(), m.data());
    ASSERT_TRUE(SameBits(y.data(), alone.data(), rows * 20)) << rows;
  }
}

TEST_P(GmuTest, NanStaysInItsRow) {
  const PackedGmu gmu = RandomGmu(20, 37, 20);
  for (int operand = 0; operand < 2; ++operand) {
    std::vector<float> x = RandomFloats(5 * 20, 5), m = RandomFloats(5 * 37, 6);
    (operand == 0 ? x[2 * 20] : m[2 * 37 + 36]) = kNan;
    const std::vector<float> y = Compute(impl(), gmu.weights(), 5, x.data(), m.data());
    for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(std::isnan(y[i]), i / 20 == 2) << i;
  }
}

TEST_P(GmuTest, EmptyWorkAndBadArguments) {
  const PackedGmu gmu = RandomGmu(4, 6, 4);
  EXPECT_TRUE(impl().run({gmu.weights(), 0, nullptr, nullptr, 0, nullptr, {}}).ok());
  std::vector<float> x(4), m(6), y(4), scratch(1024);
  const size_t bytes = GmuWorkspaceBytes(gmu.weights(), 1);
  EXPECT_EQ(
      impl()
          .run({gmu.weights(), 1, x.data(), m.data(), 0, y.data(), {scratch.data(), bytes - 1}})
          .code,
      Code::kInvalidArgument);
  EXPECT_EQ(
      impl().run({gmu.weights(), 1, x.data(), m.data(), 5, y.data(), {scratch.data(), bytes}}).code,
      Code::kInvalidArgument);
  GmuWeights other = gmu.weights();
  other.out.in = 7;
  EXPECT_EQ(impl().run({other, 0, nullptr, nullptr, 0, nullptr, {}}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
