#include "kernels/value_mix/value_mix.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using ValueMixTest = KernelTest<ValueMixImpl, ValueMixImpls>;
INSTANTIATE_TEST_SUITE_P(All, ValueMixTest, testing::ValuesIn(Names(ValueMixImpls())), ParamName);

struct Bank {
  int64_t heads, head_dim, slots, vocabulary;
  std::vector<float> values;
};

Bank MakeBank(int64_t heads, int64_t head_dim, int64_t slots, int64_t vocabulary, uint32_t seed) {
  return {heads, head_dim, slots, vocabulary,
          RandomFloats(vocabulary * slots * heads * head_dim, seed)};
}

std::vector<float> Compute(const ValueMixImpl& impl, const Bank& bank, std::vector<float> v,
                           const std::vector<int32_t>& token, const std::vector<float>& gates) {
  GuardedWorkspace workspace(ValueMixWorkspaceBytes(bank.heads, bank.slots));
  const ValueMixArgs args = {static_cast<int64_t>(token.size()),
                             bank.heads,
                             bank.head_dim,
                             bank.slots,
                             bank.vocabulary,
                             bank.values.data(),
                             token.data(),
                             gates.data(),
                             v.data(),
                             workspace.get()};
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return v;
}

TEST_P(ValueMixTest, EqualsReference) {
  uint32_t seed = 0;
  for (int64_t heads : {1, 3, 16}) {
    for (int64_t head_dim : {1, 8, 15, 17, 64}) {
      for (int64_t slots : {0, 1, 5, 32}) {
        ++seed;
        SCOPED_TRACE("heads=" + std::to_string(heads) + " head_dim=" + std::to_string(head_dim) +
                     " slots=" + std::to_string(slots) + " seed=" + std::to_string(seed));
        const Bank bank = MakeBank(heads, head_dim, slots, 7, seed);
        const std::vector<float> v = RandomFloats(4 * heads * head_dim, seed + 1);
        const std::vector<float> gates = RandomFloats(4 * heads * (slots + 1), seed + 2, 2.0f);
        const std::vector<int32_t> token = {6, 0, 3, 3};
        EXPECT_LE(RelativeError(Compute(impl(), bank, v, token, gates),
                                Compute(reference(), bank, v, token, gates)),
                  kTolerance);
      }
    }
  }
}

TEST_P(ValueMixTest, GatesAtZeroAreOnes) {
  const Bank bank = {1, 3, 2, 2, {9, 9, 9, 9, 9, 9, 1, 2, 3, 10, 20, 30}};
  EXPECT_EQ(Compute(impl(), bank, {100, 200, 300}, {1}, {0, 0, 0}),
            (std::vector<float>{111, 222, 333}));
}

TEST_P(ValueMixTest, GatesReachFromZeroToTwo) {
  const Bank bank = {1, 2, 1, 1, {5, 7}};
  EXPECT_EQ(Compute(impl(), bank, {1, 2}, {0}, {kInf, -kInf}), (std::vector<float>{2, 4}));
  EXPECT_EQ(Compute(impl(), bank, {1, 2}, {0}, {-kInf, kInf}), (std::vector<float>{10, 14}));
}

TEST_P(ValueMixTest, NoSlotsOnlyScales) {
  const Bank bank = MakeBank(2, 5, 0, 4, 3);
  const std::vector<float> v = RandomFloats(10, 4);
  EXPECT_EQ(Compute(impl(), bank, v, {2}, {0, 0}), v);
}

TEST_P(ValueMixTest, UnknownTokenWritesNothing) {
  const Bank bank = MakeBank(2, 5, 3, 4, 5);
  for (int32_t unknown : {-1, 4}) {
    const int32_t token[] = {1, unknown};
    const std::vector<float> gates(16, 0);
    std::vector<float> v = RandomFloats(20, 6);
    const std::vector<float> before = v;
    GuardedWorkspace workspace(ValueMixWorkspaceBytes(2, 3));
    EXPECT_EQ(impl()
                  .run({2, 2, 5, 3, 4, bank.values.data(), token, gates.data(), v.data(),
                        workspace.get()})
                  .code,
              Code::kInvalidArgument);
    EXPECT_EQ(v, before);
  }
}

TEST_P(ValueMixTest, NanStaysInItsRow) {
  const Bank bank = MakeBank(2, 9, 3, 4, 7);
  const std::vector<float> v = RandomFloats(54, 8);
  std::vector<float> gates = RandomFloats(24, 9);
  const std::vector<float> clean = Compute(impl(), bank, v, {0, 1, 2}, gates);
  gates[9] = kNan;  // row 1, head 0
  const std::vector<float> y = Compute(impl(), bank, v, {0, 1, 2}, gates);
  EXPECT_TRUE(SameBits(y.data(), clean.data(), 18));
  EXPECT_TRUE(std::isnan(y[18]));
  EXPECT_TRUE(SameBits(y.data() + 27, clean.data() + 27, 27));
}

TEST_P(ValueMixTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 67, kWidth = 3 * 11;
  const Bank bank = MakeBank(3, 11, 4, 20, 10);
  const std::vector<float> v = RandomFloats(kRows * kWidth, 11);
  const std::vector<float> gates = RandomFloats(kRows * 15, 12);
  std::vector<int32_t> token;
  for (int32_t t = 0; t < kRows; ++t) token.push_back(t * 7 % 20);
  const std::vector<float> batch = Compute(impl(), bank, v, token, gates);
  EXPECT_EQ(Compute(impl(), bank, v, token, gates), batch);
  for (int64_t t = 0; t < kRows; ++t) {
    const std::vector<float> alone = Compute(
        impl(), bank, {v.begin() + t * kWidth, v.begin() + (t + 1) * kWidth},
        {token[static_cast<size_t>(t)]}, {gates.begin() + t * 15, gates.begin() + t * 15 + 15});
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + t * kWidth, kWidth));
  }
}

TEST_P(ValueMixTest, EmptyAndImpossible) {
  EXPECT_TRUE(impl().run({}).ok());
  float v = 0, gate = 0;
  const int32_t token = 0;
  EXPECT_EQ(impl().run({1, 1, 1, 0, 1, nullptr, &token, &gate, &v, {}}).code,
            Code::kInvalidArgument);  // no workspace
  EXPECT_EQ(impl().run({1, 1, 1, -1, 1, nullptr, &token, &gate, &v, {}}).code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
