#include "kernels/prefix_ffn/prefix_ffn.h"

#include <algorithm>
#include <numeric>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using PrefixFfnTest = KernelTest<PrefixFfnImpl, PrefixFfnImpls>;
INSTANTIATE_TEST_SUITE_P(All, PrefixFfnTest, testing::ValuesIn(Names(PrefixFfnImpls())), ParamName);

struct Layer {
  int64_t count, d, r, o;
  std::vector<float> in, in_bias, out, out_bias, base;
  PackedPrefixFfn packed;
};

Layer MakeLayer(int64_t count, int64_t d, int64_t r, int64_t o, uint32_t seed,
                PrefixActivation activation = PrefixActivation::kGeluErf) {
  Layer l = {count,
             d,
             r,
             o,
             RandomFloats(count * r * d, seed, 0.3f),
             RandomFloats(count * r, seed + 1, 0.3f),
             RandomFloats(count * o * r, seed + 2, 0.3f),
             RandomFloats(count * o, seed + 3, 0.3f),
             RandomFloats(o, seed + 4),
             {}};
  l.packed = PackedPrefixFfn(l.in.data(), l.in_bias.data(), l.out.data(), l.out_bias.data(),
                             l.base.data(), count, d, r, o, activation);
  return l;
}

std::vector<float> Compute(const PrefixFfnImpl& impl, const Layer& layer,
                           const std::vector<float>& x, const std::vector<int32_t>& width,
                           int64_t* run = nullptr) {
  const int64_t rows = static_cast<int64_t>(width.size());
  std::vector<float> y = Poison(rows * layer.o);
  GuardedWorkspace workspace(PrefixFfnWorkspaceBytes(layer.packed.weights(), rows));
  const PrefixFfnArgs args = {layer.packed.weights(), rows, x.data(), width.data(), y.data(), run,
                              workspace.get()};
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

std::vector<int32_t> Widths(int64_t rows, int64_t count, uint32_t seed) {
  std::mt19937 bits(seed);
  std::vector<int32_t> width(static_cast<size_t>(rows));
  for (int32_t& w : width) w = static_cast<int32_t>(bits() % static_cast<uint32_t>(count + 1));
  return width;
}

TEST_P(PrefixFfnTest, EqualsReference) {
  uint32_t seed = 0;
  for (int64_t count : {1, 2, 5}) {
    for (int64_t d : {1, 17, 32}) {
      for (int64_t r : {1, 15, 16, 33}) {
        for (int64_t rows : {1, 3, 100}) {
          ++seed;
          SCOPED_TRACE("count=" + std::to_string(count) + " d=" + std::to_string(d) +
                       " r=" + std::to_string(r) + " rows=" + std::to_string(rows) +
                       " seed=" + std::to_string(seed));
          const Layer layer = MakeLayer(count, d, r, d + 2, seed);
          const std::vector<float> x = RandomFloats(rows * d, seed + 9);
          const std::vector<int32_t> width = Widths(rows, count, seed);
          EXPECT_LE(RelativeError(Compute(impl(), layer, x, width),
                                  Compute(reference(), layer, x, width)),
                    kTolerance);
        }
      }
    }
  }
}

TEST_P(PrefixFfnTest, EveryActivationEqualsReference) {
  for (PrefixActivation activation : {PrefixActivation::kRelu, PrefixActivation::kSilu,
                                      PrefixActivation::kGeluTanh, PrefixActivation::kGeluErf}) {
    const Layer layer = MakeLayer(3, 20, 13, 20, 5, activation);
    const std::vector<float> x = RandomFloats(40 * 20, 6, 3.0f);
    const std::vector<int32_t> width = Widths(40, 3, 7);
    EXPECT_LE(
        RelativeError(Compute(impl(), layer, x, width), Compute(reference(), layer, x, width)),
        kTolerance);
  }
}

// relu is exact, so the learners beside each other are one dense layer, in float64 here.
TEST_P(PrefixFfnTest, AllLearnersAreTheDenseLayer) {
  const Layer l = MakeLayer(4, 12, 8, 10, 11, PrefixActivation::kRelu);
  const std::vector<float> x = RandomFloats(12, 12);
  std::vector<float> dense;
  for (int64_t n = 0; n < l.o; ++n) {
    double y = static_cast<double>(l.base[static_cast<size_t>(n)]);
    for (int64_t i = 0; i < l.count; ++i) {
      y += static_cast<double>(l.out_bias[static_cast<size_t>(i * l.o + n)]);
      for (int64_t r = 0; r < l.r; ++r) {
        double h = static_cast<double>(l.in_bias[static_cast<size_t>(i * l.r + r)]);
        for (int64_t k = 0; k < l.d; ++k) {
          h += static_cast<double>(l.in[static_cast<size_t>((i * l.r + r) * l.d + k)]) *
               static_cast<double>(x[static_cast<size_t>(k)]);
        }
        const float w = l.out[static_cast<size_t>((i * l.o + n) * l.r + r)];
        y += std::max(h, 0.0) * static_cast<double>(w);
      }
    }
    dense.push_back(static_cast<float>(y));
  }
  EXPECT_LE(RelativeError(Compute(impl(), l, x, {4}), dense), kTolerance);
}

TEST_P(PrefixFfnTest, WidthZeroIsTheBase) {
  Layer layer = MakeLayer(3, 7, 5, 9, 21);
  EXPECT_EQ(Compute(impl(), layer, RandomFloats(7, 22), {0}), layer.base);
  layer.packed = PackedPrefixFfn(layer.in.data(), nullptr, layer.out.data(), nullptr, nullptr, 3, 7,
                                 5, 9, PrefixActivation::kSilu);
  EXPECT_EQ(Compute(impl(), layer, RandomFloats(7, 22), {0}), std::vector<float>(9, 0));
}

TEST_P(PrefixFfnTest, WidthsOutOfRangeAreClamped) {
  const Layer layer = MakeLayer(3, 7, 5, 9, 23);
  const std::vector<float> x = RandomFloats(14, 24);
  int64_t run = 0;
  EXPECT_EQ(Compute(impl(), layer, x, {-5, 1 << 30}, &run), Compute(impl(), layer, x, {0, 3}));
  EXPECT_EQ(run, 3);
}

TEST_P(PrefixFfnTest, CountsTheLearnersRun) {
  const Layer layer = MakeLayer(6, 4, 3, 4, 31);
  const std::vector<int32_t> width = Widths(150, 6, 32);
  int64_t run = 1000;
  Compute(impl(), layer, RandomFloats(150 * 4, 33), width, &run);
  EXPECT_EQ(run, 1000 + std::accumulate(width.begin(), width.end(), int64_t{0}));
}

TEST_P(PrefixFfnTest, RowAloneEqualsRowInBatch) {
  const Layer layer = MakeLayer(5, 24, 18, 20, 41);
  for (int64_t rows : {2, 7, 67, 200}) {
    const std::vector<float> x = RandomFloats(rows * 24, 42);
    const std::vector<int32_t> width = Widths(rows, 5, 43);
    const std::vector<float> batch = Compute(impl(), layer, x, width);
    for (int64_t t = 0; t < rows; ++t) {
      const std::vector<float> alone =
          Compute(impl(), layer, {x.begin() + t * 24, x.begin() + (t + 1) * 24},
                  {width[static_cast<size_t>(t)]});
      EXPECT_TRUE(SameBits(alone.data(), batch.data() + t * 20, 20)) << rows << " " << t;
    }
  }
}

TEST_P(PrefixFfnTest, NanStaysInItsRow) {
  const Layer layer = MakeLayer(2, 6, 4, 5, 51);
  std::vector<float> x = RandomFloats(18, 52);
  const std::vector<float> clean = Compute(impl(), layer, x, {2, 1, 2});
  x[8] = kNan;
  const std::vector<float> y = Compute(impl(), layer, x, {2, 1, 2});
  EXPECT_TRUE(SameBits(y.data(), clean.data(), 5));
  EXPECT_TRUE(std::isnan(y[5]));
  EXPECT_TRUE(SameBits(y.data() + 10, clean.data() + 10, 5));
}

TEST_P(PrefixFfnTest, EmptyWork) {
  EXPECT_TRUE(impl().run({}).ok());
  const Layer layer = MakeLayer(0, 3, 2, 4, 61);
  EXPECT_EQ(Compute(impl(), layer, RandomFloats(3, 62), {2}), layer.base);
  const Layer narrow = MakeLayer(2, 0, 0, 4, 63);
  const std::vector<float> y = Compute(impl(), narrow, {}, {1});
  EXPECT_EQ(y[0], narrow.base[0] + narrow.out_bias[0]);
}

TEST_P(PrefixFfnTest, RefusesWhatItCannotDo) {
  const Layer layer = MakeLayer(2, 3, 2, 4, 71);
  PrefixFfnArgs args = {layer.packed.weights(), 1, nullptr, nullptr, nullptr, nullptr, {}};
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  const std::vector<float> x = RandomFloats(3, 72);
  std::vector<float> y(4);
  const int32_t width = 1;
  args.x = x.data();
  args.y = y.data();
  args.width = &width;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);  // no workspace
  GuardedWorkspace workspace(PrefixFfnWorkspaceBytes(args.w, 1));
  args.workspace = workspace.get();
  EXPECT_TRUE(impl().run(args).ok());
  args.w.r = 3;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
