#include "kernels/lora_mix/lora_mix.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using LoraMixTest = KernelTest<LoraMixImpl, LoraMixImpls>;
INSTANTIATE_TEST_SUITE_P(All, LoraMixTest, testing::ValuesIn(Names(LoraMixImpls())), ParamName);

struct Adapters {
  std::vector<int64_t> ranks;
  std::vector<std::vector<float>> a, b;
  int64_t d_in, d_out;
  PackedLora packed;
};

Adapters MakeAdapters(const std::vector<int64_t>& ranks, int64_t d_in, int64_t d_out,
                      uint32_t seed) {
  Adapters adapters = {ranks, {}, {}, d_in, d_out, {}};
  std::vector<LoraAdapter> views;
  for (int64_t rank : ranks) {
    adapters.a.push_back(RandomFloats(rank * d_in, ++seed, 0.3f));
    adapters.b.push_back(RandomFloats(d_out * rank, ++seed, 0.3f));
  }
  for (size_t i = 0; i < ranks.size(); ++i) {
    views.push_back({ranks[i], 16, adapters.a[i].data(), adapters.b[i].data()});
  }
  adapters.packed = PackedLora(views, d_in, d_out);
  return adapters;
}

std::vector<float> Compute(const LoraMixImpl& impl, const Adapters& adapters,
                           const std::vector<float>& x, const std::vector<float>& lambda,
                           std::vector<float> y, float gain = 1, int64_t* nans = nullptr) {
  const LoraBank bank = adapters.packed.bank();
  const int64_t rows = static_cast<int64_t>(y.size()) / adapters.d_out;
  GuardedWorkspace workspace(LoraMixWorkspaceBytes(bank, rows));
  EXPECT_TRUE(
      impl.run({bank, rows, gain, x.data(), lambda.data(), y.data(), nans, workspace.get()}).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(LoraMixTest, EqualsReference) {
  uint32_t seed = 0;
  const std::vector<std::vector<int64_t>> rank_lists = {{1}, {4, 16, 64}, {3, 5, 7, 9}, {8, 8}};
  for (const std::vector<int64_t>& ranks : rank_lists) {
    for (int64_t d_in : {1, 17, 40}) {
      for (int64_t rows : {1, 5, 130}) {
        seed += 100;
        const int64_t d_out = d_in + 6, count = static_cast<int64_t>(ranks.size());
        SCOPED_TRACE("adapters=" + std::to_string(count) + " d_in=" + std::to_string(d_in) +
                     " rows=" + std::to_string(rows) + " seed=" + std::to_string(seed));
        const Adapters adapters = MakeAdapters(ranks, d_in, d_out, seed);
        const std::vector<float> x = RandomFloats(rows * d_in, seed + 50);
        std::vector<float> lambda = RandomFloats(rows * count, seed + 51);
        for (size_t i = 0; i < lambda.size(); i += 3) lambda[i] = 0;
        const std::vector<float> y = RandomFloats(rows * d_out, seed + 52);
        EXPECT_LE(RelativeError(Compute(impl(), adapters, x, lambda, y, 0.7f),
                                Compute(reference(), adapters, x, lambda, y, 0.7f)),
                  kTolerance);
      }
    }
  }
}

// Weights W + sum lambda scale B A, in float64, applied to x.
TEST_P(LoraMixTest, EqualsMergedWeights) {
  const Adapters adapters = MakeAdapters({4, 16}, 9, 7, 1);
  const std::vector<float> base = RandomFloats(7 * 9, 2), x = RandomFloats(9, 3);
  const std::vector<float> lambda = {0.25f, -1.5f};
  std::vector<float> y(7), expected(7);
  for (size_t n = 0; n < 7; ++n) {
    double plain = 0, merged = 0;
    for (size_t k = 0; k < 9; ++k) {
      double w = static_cast<double>(base[n * 9 + k]);
      plain += w * static_cast<double>(x[k]);
      for (size_t a = 0; a < 2; ++a) {
        const size_t rank = static_cast<size_t>(adapters.ranks[a]);
        for (size_t r = 0; r < rank; ++r) {
          w += static_cast<double>(lambda[a]) * 16 / static_cast<double>(rank) *
               static_cast<double>(adapters.b[a][n * rank + r]) *
               static_cast<double>(adapters.a[a][r * 9 + k]);
        }
      }
      merged += w * static_cast<double>(x[k]);
    }
    y[n] = static_cast<float>(plain);
    expected[n] = static_cast<float>(merged);
  }
  EXPECT_LE(RelativeError(Compute(impl(), adapters, x, lambda, y), expected), kTolerance);
}

TEST_P(LoraMixTest, OneHotIsThatAdapterAlone) {
  const Adapters all = MakeAdapters({4, 16, 64}, 20, 24, 4);
  Adapters one = MakeAdapters({}, 20, 24, 0);
  const LoraAdapter view = {16, 16, all.a[1].data(), all.b[1].data()};
  one.packed = PackedLora({&view, 1}, 20, 24);
  const std::vector<float> x = RandomFloats(20, 5), y = RandomFloats(24, 6);
  EXPECT_LE(RelativeError(Compute(impl(), all, x, {0, 1, 0}, y), Compute(impl(), one, x, {1}, y)),
            1e-6);
}

// Even where x is NaN or y a negative zero.
TEST_P(LoraMixTest, LambdaZeroKeepsTheBaseBitForBit) {
  const Adapters adapters = MakeAdapters({4, 8}, 5, 6, 7);
  const std::vector<float> x(15, kNan);
  std::vector<float> y = RandomFloats(18, 8);
  y[3] = -0.0f;
  const std::vector<float> kept = Compute(impl(), adapters, x, std::vector<float>(6, 0), y);
  EXPECT_TRUE(SameBits(kept.data(), y.data(), 18));
}

TEST_P(LoraMixTest, NanLambdaCountsAsZero) {
  const Adapters adapters = MakeAdapters({4, 8}, 5, 6, 9);
  const std::vector<float> x = RandomFloats(10, 10), y = RandomFloats(12, 11);
  int64_t nans = 10;
  EXPECT_EQ(Compute(impl(), adapters, x, {kNan, 0.5f, kNan, kNan}, y, 1, &nans),
            Compute(impl(), adapters, x, {0, 0.5f, 0, 0}, y));
  EXPECT_EQ(nans, 13);
}

TEST_P(LoraMixTest, NanStaysInItsRow) {
  const Adapters adapters = MakeAdapters({4, 8}, 5, 6, 12);
  std::vector<float> x = RandomFloats(15, 13);
  const std::vector<float> lambda(6, 0.5f), y = RandomFloats(18, 14);
  const std::vector<float> clean = Compute(impl(), adapters, x, lambda, y);
  x[7] = kNan;
  const std::vector<float> mixed = Compute(impl(), adapters, x, lambda, y);
  EXPECT_TRUE(SameBits(mixed.data(), clean.data(), 6));
  EXPECT_TRUE(std::isnan(mixed[6]));
  EXPECT_TRUE(SameBits(mixed.data() + 12, clean.data() + 12, 6));
}

// Rows that are off split the batch into runs: no row may notice.
TEST_P(LoraMixTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 230, kIn = 12, kOut = 10;
  const Adapters adapters = MakeAdapters({4, 6}, kIn, kOut, 15);
  const std::vector<float> x = RandomFloats(kRows * kIn, 16), y = RandomFloats(kRows * kOut, 17);
  std::vector<float> lambda = RandomFloats(kRows * 2, 18);
  for (size_t t = 100; t < kRows; t += 7) lambda[2 * t] = lambda[2 * t + 1] = 0;
  const std::vector<float> batch = Compute(impl(), adapters, x, lambda, y);
  EXPECT_EQ(Compute(impl(), adapters, x, lambda, y), batch);
  for (int64_t t = 0; t < kRows; ++t) {
    const std::vector<float> alone =
        Compute(impl(), adapters, {x.begin() + t * kIn, x.begin() + (t + 1) * kIn},
                {lambda.begin() + t * 2, lambda.begin() + t * 2 + 2},
                {y.begin() + t * kOut, y.begin() + (t + 1) * kOut});
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + t * kOut, kOut)) << t;
  }
}

TEST_P(LoraMixTest, EmptyAndImpossible) {
  EXPECT_TRUE(impl().run({}).ok());
  const Adapters none = MakeAdapters({}, 3, 4, 19);
  const std::vector<float> y = RandomFloats(4, 20);
  EXPECT_EQ(Compute(impl(), none, RandomFloats(3, 21), {}, y), y);
  const Adapters adapters = MakeAdapters({2}, 3, 4, 22);
  LoraMixArgs args = {adapters.packed.bank(), 1, 1, nullptr, nullptr, nullptr, nullptr, {}};
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  const std::vector<float> x = RandomFloats(3, 23);
  std::vector<float> out(4);
  const float lambda = 1;
  args.x = x.data();
  args.lambda = &lambda;
  args.y = out.data();
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);  // no workspace
  GuardedWorkspace workspace(LoraMixWorkspaceBytes(args.bank, 1));
  args.workspace = workspace.get();
  EXPECT_TRUE(impl().run(args).ok());
  const int64_t wrong = 1;
  args.bank.end = &wrong;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
