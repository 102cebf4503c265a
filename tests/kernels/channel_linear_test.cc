#include "kernels/channel_linear/channel_linear.h"

#include <algorithm>
#include <numeric>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using ChannelLinearTest = KernelTest<ChannelLinearImpl, ChannelLinearImpls>;
INSTANTIATE_TEST_SUITE_P(All, ChannelLinearTest, testing::ValuesIn(Names(ChannelLinearImpls())),
                         ParamName);

// Owns the lists of some rows.
struct Lists {
  std::vector<int32_t> index, count;
  ChannelLists view() const { return {index.data(), count.data()}; }
};

Lists RandomLists(int64_t rows, int64_t channels, double density, uint32_t seed) {
  std::mt19937 bits(seed);
  Lists lists;
  for (int64_t t = 0; t < rows; ++t) {
    const size_t first = lists.index.size();
    for (int64_t c = 0; c < channels; ++c) {
      if (bits() < density * 4294967296.0) lists.index.push_back(static_cast<int32_t>(c));
    }
    lists.count.push_back(static_cast<int32_t>(lists.index.size() - first));
    lists.index.resize(first + static_cast<size_t>(channels), -1);
  }
  return lists;
}

struct Layer {
  int64_t in, out;
  std::vector<float> w, bias;
};

Layer MakeLayer(int64_t in, int64_t out, uint32_t seed) {
  return {in, out, RandomFloats(in * out, seed), RandomFloats(out, seed + 1)};
}

std::vector<float> Compute(const ChannelLinearImpl& impl, const Layer& layer,
                           const std::vector<float>& x, int64_t rows, ChannelLists inputs = {},
                           ChannelLists outputs = {}) {
  std::vector<float> y = Poison(rows * layer.out);
  GuardedWorkspace workspace(ChannelLinearWorkspaceBytes(layer.in));
  EXPECT_TRUE(impl.run({rows, layer.in, layer.out, layer.w.data(), layer.bias.data(), x.data(),
                        inputs, outputs, y.data(), workspace.get()})
                  .ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(ChannelLinearTest, EqualsReference) {
  uint32_t seed = 0;
  for (int64_t in : {1, 7, 8, 15, 16, 17, 40, 100}) {
    for (int64_t out : {1, 3, 8, 9, 50}) {
      for (double density : {0.1, 0.6, 1.0}) {
        ++seed;
        SCOPED_TRACE("in=" + std::to_string(in) + " out=" + std::to_string(out) +
                     " density=" + std::to_string(density) + " seed=" + std::to_string(seed));
        const Layer layer = MakeLayer(in, out, seed);
        const std::vector<float> x = RandomFloats(5 * in, seed + 2);
        const Lists inputs = RandomLists(5, in, density, seed + 3);
        const Lists outputs = RandomLists(5, out, density, seed + 4);
        EXPECT_LE(RelativeError(Compute(impl(), layer, x, 5, inputs.view(), outputs.view()),
                                Compute(reference(), layer, x, 5, inputs.view(), outputs.view())),
                  kTolerance);
        EXPECT_LE(RelativeError(Compute(impl(), layer, x, 5, {}, outputs.view()),
                                Compute(reference(), layer, x, 5, {}, outputs.view())),
                  kTolerance);
      }
    }
  }
}

TEST_P(ChannelLinearTest, AllChannelsListedIsTheDenseProductBitForBit) {
  const Layer layer = MakeLayer(53, 29, 3);
  const std::vector<float> x = RandomFloats(4 * 53, 4);
  const Lists inputs = RandomLists(4, 53, 1.0, 5), outputs = RandomLists(4, 29, 1.0, 6);
  EXPECT_EQ(Compute(impl(), layer, x, 4, inputs.view(), outputs.view()),
            Compute(impl(), layer, x, 4));
}

// What is listed equals the dense product of a masked input; what is not is 0, not the bias.
TEST_P(ChannelLinearTest, ListsAreMasks) {
  const Layer layer = MakeLayer(45, 31, 7);
  const std::vector<float> x = RandomFloats(3 * 45, 8);
  const Lists inputs = RandomLists(3, 45, 0.4, 9), outputs = RandomLists(3, 31, 0.4, 10);
  std::vector<float> masked(x.size(), 0), expected(3 * 31, 0);
  for (size_t t = 0; t < 3; ++t) {
    for (size_t i = 0; i < static_cast<size_t>(inputs.count[t]); ++i) {
      const size_t k = t * 45 + static_cast<size_t>(inputs.index[t * 45 + i]);
      masked[k] = x[k];
    }
  }
  const std::vector<float> dense = Compute(impl(), layer, masked, 3);
  for (size_t t = 0; t < 3; ++t) {
    for (size_t i = 0; i < static_cast<size_t>(outputs.count[t]); ++i) {
      const size_t c = t * 31 + static_cast<size_t>(outputs.index[t * 31 + i]);
      expected[c] = dense[c];
    }
  }
  EXPECT_EQ(Compute(impl(), layer, x, 3, inputs.view(), outputs.view()), expected);
}

TEST_P(ChannelLinearTest, WhatIsNotListedIsNotRead) {
  Layer layer = MakeLayer(64, 4, 11);
  std::vector<float> x = RandomFloats(64, 12);
  const Lists inputs = {{17, 20}, {2}}, outputs = {{1, 3}, {2}};
  Lists in = inputs, out = outputs;
  in.index.resize(64, -1);
  out.index.resize(4, -1);
  const std::vector<float> clean = Compute(impl(), layer, x, 1, in.view(), out.view());
  for (size_t k = 0; k < 64; ++k) {
    if (k != 17 && k != 20) x[k] = kNan;
    for (size_t c = 0; c < 4; ++c) {
      if (c % 2 == 0 || k < 16 || k >= 32) layer.w[c * 64 + k] = kNan;
    }
  }
  EXPECT_EQ(Compute(impl(), layer, x, 1, in.view(), out.view()), clean);
}

TEST_P(ChannelLinearTest, NoInputsLeaveTheBias) {
  const Layer layer = MakeLayer(10, 6, 13);
  const std::vector<float> x = RandomFloats(10, 14);
  const Lists none = RandomLists(1, 10, 0, 15);
  EXPECT_EQ(Compute(impl(), layer, x, 1, none.view()), layer.bias);
}

TEST_P(ChannelLinearTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 67, kIn = 37, kOut = 23;
  const Layer layer = MakeLayer(kIn, kOut, 16);
  const std::vector<float> x = RandomFloats(kRows * kIn, 17);
  const Lists inputs = RandomLists(kRows, kIn, 0.5, 18),
              outputs = RandomLists(kRows, kOut, 0.5, 19);
  const std::vector<float> batch = Compute(impl(), layer, x, kRows, inputs.view(), outputs.view());
  EXPECT_EQ(Compute(impl(), layer, x, kRows, inputs.view(), outputs.view()), batch);
  for (int64_t t = 0; t < kRows; ++t) {
    const ChannelLists in = {inputs.index.data() + t * kIn, inputs.count.data() + t};
    const ChannelLists out = {outputs.index.data() + t * kOut, outputs.count.data() + t};
    const std::vector<float> alone =
        Compute(impl(), layer, {x.begin() + t * kIn, x.begin() + (t + 1) * kIn}, 1, in, out);
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + t * kOut, kOut));
  }
}

TEST_P(ChannelLinearTest, EmptyAndImpossible) {
  EXPECT_TRUE(impl().run({}).ok());
  const Layer layer = MakeLayer(3, 2, 20);
  EXPECT_EQ(Compute(impl(), {0, 2, {}, {1, 2}}, {}, 1), (std::vector<float>{1, 2}));
  const std::vector<float> x = RandomFloats(3, 21);
  for (const std::vector<int32_t>& index :
       {std::vector<int32_t>{0, 3, -1}, {-1, 1, -1}, {1, 1, -1}, {2, 0, -1}}) {
    const int32_t count = 2;
    std::vector<float> y = {7, 7};
    GuardedWorkspace workspace(ChannelLinearWorkspaceBytes(3));
    EXPECT_EQ(impl()
                  .run({1,
                        3,
                        2,
                        layer.w.data(),
                        nullptr,
                        x.data(),
                        {index.data(), &count},
                        {},
                        y.data(),
                        workspace.get()})
                  .code,
              Code::kInvalidArgument);
    EXPECT_EQ(y, (std::vector<float>{7, 7}));
  }
  float y = 0;
  EXPECT_EQ(impl().run({1, 3, 1, layer.w.data(), nullptr, x.data(), {}, {}, &y, {}}).code,
            Code::kInvalidArgument);  // no workspace
}

}  // namespace
}  // namespace penstock::kernels
