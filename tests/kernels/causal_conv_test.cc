#include "kernels/causal_conv/causal_conv.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using CausalConvTest = KernelTest<CausalConvImpl, CausalConvImpls>;
INSTANTIATE_TEST_SUITE_P(All, CausalConvTest, testing::ValuesIn(Names(CausalConvImpls())),
                         ParamName);

PackedCausalConv RandomConv(int64_t channels, int64_t width, bool bias, uint32_t seed) {
  return PackedCausalConv(RandomFloats(channels * width, seed).data(),
                          bias ? RandomFloats(channels, seed + 1).data() : nullptr, channels,
                          width);
}

struct Answer {
  std::vector<float> y, state;
};

// Without a state where `state` is empty. Rows of x and y lie `gap` floats apart.
Answer Compute(const CausalConvImpl& impl, const CausalConvWeights& w, int64_t sequences,
               const std::vector<float>& x, bool silu, std::vector<float> state, int64_t gap = 0) {
  const int64_t stride = w.channels + gap;
  CausalConvArgs args;
  args.w = w;
  args.sequences = sequences;
  args.steps = static_cast<int64_t>(x.size()) / std::max<int64_t>(sequences * stride, 1);
  args.x = x.data();
  args.silu = silu;
  if (gap > 0) args.x_stride = args.y_stride = stride;
  Answer answer = {Poison(static_cast<int64_t>(x.size())), std::move(state)};
  if (!answer.state.empty()) args.state = answer.state.data();
  args.y = answer.y.data();
  EXPECT_TRUE(impl.run(args).ok());
  return answer;
}

// Steps first to last of every sequence.
std::vector<float> Cut(const std::vector<float>& x, int64_t sequences, int64_t steps,
                       int64_t channels, int64_t first, int64_t last) {
  std::vector<float> part;
  for (int64_t s = 0; s < sequences; ++s) {
    const auto at = x.begin() + s * steps * channels;
    part.insert(part.end(), at + first * channels, at + last * channels);
  }
  return part;
}

// taps (1, 10), bias 100: y_t = 100 + x_{t-1} + 10 x_t.
TEST_P(CausalConvTest, ComputesItsDefinition) {
  const float weight[] = {1, 10}, bias = 100;
  const PackedCausalConv conv(weight, &bias, 1, 2);
  EXPECT_EQ(Compute(impl(), conv.weights(), 1, {2, 3, 4}, false, {}).y,
            (std::vector<float>{120, 132, 143}));
  const Answer carried = Compute(impl(), conv.weights(), 1, {2, 3, 4}, false, {7});
  EXPECT_EQ(carried.y, (std::vector<float>{127, 132, 143}));
  EXPECT_EQ(carried.state, (std::vector<float>{4}));
}

// silu(2) = 1.761594156.
TEST_P(CausalConvTest, SiluGatesTheSum) {
  const float weight = 2;
  const PackedCausalConv conv(&weight, nullptr, 1, 1);
  EXPECT_NEAR(Compute(impl(), conv.weights(), 1, {1}, true, {}).y[0], 1.761594156, 1e-6);
}

// One line reproduces a failure: seed and shape.
TEST_P(CausalConvTest, RandomShapesMatchReferenceTwiceToTheBit) {
  for (uint32_t seed = 1; seed <= 120; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    const int64_t width = draw(1, kMostConvWidth), channels = draw(1, 70);
    const int64_t sequences = draw(1, 4), steps = draw(0, 40);
    const bool bias = draw(0, 1) == 1, silu = draw(0, 1) == 1, carried = draw(0, 1) == 1;
    const std::string what = "seed " + std::to_string(seed) + " width " + std::to_string(width) +
                             " channels " + std::to_string(channels) + " sequences " +
                             std::to_string(sequences) + " steps " + std::to_string(steps) +
                             (bias ? " bias" : "") + (silu ? " silu" : "") +
                             (carried ? " state" : "");
    const PackedCausalConv conv = RandomConv(channels, width, bias, seed);
    const std::vector<float> x = RandomFloats(sequences * steps * channels, seed + 2);
    std::vector<float> state;
    if (carried) state = RandomFloats(sequences * (width - 1) * channels, seed + 3);
    const Answer a = Compute(impl(), conv.weights(), sequences, x, silu, state);
    const Answer b = Compute(impl(), conv.weights(), sequences, x, silu, state);
    const Answer e = Compute(reference(), conv.weights(), sequences, x, silu, state);
    EXPECT_LE(RelativeError(a.y, e.y), kTolerance) << what;
    EXPECT_EQ(a.state, e.state) << what;
    EXPECT_TRUE(SameBits(a.y.data(), b.y.data(), static_cast<int64_t>(a.y.size()))) << what;
  }
}

TEST_P(CausalConvTest, CutAnywhereWithItsStateIsTheWholePassBitForBit) {
  constexpr int64_t kSequences = 2, kSteps = 13, kChannels = 21;
  const std::vector<float> x = RandomFloats(kSequences * kSteps * kChannels, 5);
  for (int64_t width : {1, 2, 4, 7, 16}) {
    const PackedCausalConv conv = RandomConv(kChannels, width, true, 6);
    const std::vector<float> zeros(static_cast<size_t>(kSequences * (width - 1) * kChannels), 0.0f);
    const Answer whole = Compute(impl(), conv.weights(), kSequences, x, true, zeros);
    // Zeros before the first step are what no state means.
    EXPECT_EQ(Compute(impl(), conv.weights(), kSequences, x, true, {}).y, whole.y);
    for (int64_t cut = 0; cut <= kSteps; ++cut) {
      const Answer head = Compute(impl(), conv.weights(), kSequences,
                                  Cut(x, kSequences, kSteps, kChannels, 0, cut), true, zeros);
      const Answer tail =
          Compute(impl(), conv.weights(), kSequences,
                  Cut(x, kSequences, kSteps, kChannels, cut, kSteps), true, head.state);
      EXPECT_EQ(head.y, Cut(whole.y, kSequences, kSteps, kChannels, 0, cut)) << width << " " << cut;
      EXPECT_EQ(tail.y, Cut(whole.y, kSequences, kSteps, kChannels, cut, kSteps))
          << width << " " << cut;
      EXPECT_EQ(tail.state, whole.state) << width << " " << cut;
    }
  }
}

TEST_P(CausalConvTest, StepsAtATimeAreTheWholePassBitForBit) {
  constexpr int64_t kSteps = 9, kChannels = 33, kWidth = 4;
  const PackedCausalConv conv = RandomConv(kChannels, kWidth, false, 7);
  const std::vector<float> x = RandomFloats(kSteps * kChannels, 8);
  std::vector<float> state((kWidth - 1) * kChannels, 0.0f);
  const Answer whole = Compute(impl(), conv.weights(), 1, x, true, state);
  for (int64_t t = 0; t < kSteps; ++t) {
    const Answer step =
        Compute(impl(), conv.weights(), 1, Cut(x, 1, kSteps, kChannels, t, t + 1), true, state);
    EXPECT_EQ(step.y, Cut(whole.y, 1, kSteps, kChannels, t, t + 1)) << t;
    state = step.state;
  }
  EXPECT_EQ(state, whole.state);
}

TEST_P(CausalConvTest, AStepReachesItselfAndTheWidthAfterItOnly) {
  constexpr int64_t kSteps = 12, kChannels = 19, kWidth = 4;
  const PackedCausalConv conv = RandomConv(kChannels, kWidth, true, 9);
  const std::vector<float> x = RandomFloats(kSteps * kChannels, 10);
  const Answer before = Compute(impl(), conv.weights(), 1, x, true, {});
  for (int64_t t = 0; t < kSteps; ++t) {
    std::vector<float> changed = x;
    for (int64_t c = 0; c < kChannels; ++c) changed[static_cast<size_t>(t * kChannels + c)] += 1;
    const Answer after = Compute(impl(), conv.weights(), 1, changed, true, {});
    for (int64_t i = 0; i < kSteps; ++i) {
      EXPECT_EQ(
          SameBits(before.y.data() + i * kChannels, after.y.data() + i * kChannels, kChannels),
          i < t || i >= t + kWidth)
          << t << " " << i;
    }
  }
}

TEST_P(CausalConvTest, SequenceAloneEqualsSequenceInAnyBatch) {
  constexpr int64_t kSequences = 67, kSteps = 3, kChannels = 21, kWidth = 4;
  constexpr int64_t kRow = kSteps * kChannels, kState = (kWidth - 1) * kChannels;
  const PackedCausalConv conv = RandomConv(kChannels, kWidth, true, 11);
  const std::vector<float> x = RandomFloats(kSequences * kRow, 12);
  const std::vector<float> state = RandomFloats(kSequences * kState, 13);
  Answer alone;
  for (int64_t s = 0; s < kSequences; ++s) {
    const Answer a =
        Compute(impl(), conv.weights(), 1, {x.begin() + s * kRow, x.begin() + (s + 1) * kRow}, true,
                {state.begin() + s * kState, state.begin() + (s + 1) * kState});
    alone.y.insert(alone.y.end(), a.y.begin(), a.y.end());
    alone.state.insert(alone.state.end(), a.state.begin(), a.state.end());
  }
  for (int64_t n = 1; n <= kSequences; ++n) {
    const Answer a = Compute(impl(), conv.weights(), n, {x.begin(), x.begin() + n * kRow}, true,
                             {state.begin(), state.begin() + n * kState});
    ASSERT_TRUE(SameBits(a.y.data(), alone.y.data(), n * kRow)) << n;
    ASSERT_TRUE(SameBits(a.state.data(), alone.state.data(), n * kState)) << n;
  }
}

// As columns of a wider matrix: what lies between the rows is neither read nor written.
TEST_P(CausalConvTest, WorksWithinWiderRows) {
  constexpr int64_t kSequences = 3, kSteps = 7, kChannels = 13, kGap = 5;
  const PackedCausalConv conv = RandomConv(kChannels, 4, true, 14);
  const std::vector<float> x = RandomFloats(kSequences * kSteps * kChannels, 15);
  std::vector<float> wide;
  for (auto row = x.begin(); row != x.end(); row += kChannels) {
    wide.insert(wide.end(), row, row + kChannels);
    wide.insert(wide.end(), kGap, kNan);
  }
  const std::vector<float> state(kSequences * 3 * kChannels, 0.5f);
  const Answer dense = Compute(impl(), conv.weights(), kSequences, x, true, state);
  const Answer within = Compute(impl(), conv.weights(), kSequences, wide, true, state, kGap);
  EXPECT_EQ(within.state, dense.state);
  for (int64_t row = 0; row < kSequences * kSteps; ++row) {
    const float* at = within.y.data() + row * (kChannels + kGap);
    EXPECT_TRUE(SameBits(at, dense.y.data() + row * kChannels, kChannels)) << row;
    EXPECT_TRUE(SameBits(at + kChannels, Poison(kGap).data(), kGap)) << row;
  }
}

TEST_P(CausalConvTest, NanStaysInItsChannelAndTheWidthAfterIt) {
  constexpr int64_t kSteps = 9, kChannels = 21, kWidth = 3;
  const PackedCausalConv conv = RandomConv(kChannels, kWidth, true, 16);
  for (bool carried : {false, true}) {
    std::vector<float> x = RandomFloats(2 * kSteps * kChannels, 17), state;
    if (carried) state.assign(2 * (kWidth - 1) * kChannels, 1.0f);
    x[2 * kChannels + 18] = kNan;  // sequence 0, step 2
    const Answer a = Compute(impl(), conv.weights(), 2, x, true, state);
    for (int64_t i = 0; i < 2 * kSteps * kChannels; ++i) {
      const int64_t t = i / kChannels;
      EXPECT_EQ(std::isnan(a.y[static_cast<size_t>(i)]),
                t >= 2 && t < 2 + kWidth && i % kChannels == 18)
          << i;
    }
    for (float kept : a.state) EXPECT_FALSE(std::isnan(kept));
  }
}

// A state that holds NaN reaches the steps within the width, and is forgotten then.
TEST_P(CausalConvTest, NanOfTheStateIsForgotten) {
  const PackedCausalConv conv = RandomConv(5, 4, false, 18);
  std::vector<float> state(15, 1.0f);
  state[10 + 2] = kNan;  // the newest step, channel 2
  const Answer a = Compute(impl(), conv.weights(), 1, RandomFloats(6 * 5, 19), false, state);
  for (int64_t i = 0; i < 30; ++i) {
    EXPECT_EQ(std::isnan(a.y[static_cast<size_t>(i)]), i < 15 && i % 5 == 2) << i;
  }
}

TEST_P(CausalConvTest, NoStepsTouchNothing) {
  const PackedCausalConv conv = RandomConv(4, 3, true, 20);
  const std::vector<float> state = RandomFloats(2 * 2 * 4, 21);
  EXPECT_EQ(Compute(impl(), conv.weights(), 2, {}, true, state).state, state);
  CausalConvArgs args;
  args.w = conv.weights();
  EXPECT_TRUE(impl().run(args).ok());  // no sequences either
  args.sequences = args.steps = 3;
  args.w.channels = 0;
  EXPECT_TRUE(impl().run(args).ok());
}

TEST_P(CausalConvTest, RefusesWhatItCannotDo) {
  const PackedCausalConv conv = RandomConv(4, 3, true, 22);
  const std::vector<float> x(8, 1.0f);
  std::vector<float> y(8, 7.0f);
  CausalConvArgs good;
  good.w = conv.weights();
  good.sequences = 1;
  good.steps = 2;
  good.x = x.data();
  good.y = y.data();
  const auto refused = [&](auto change) {
    CausalConvArgs args = good;
    change(&args);
    return impl().run(args).code == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->w.width = 0; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->w.width = kMostConvWidth + 1; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->w.channels = -1; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->sequences = -1; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->steps = -1; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->x_stride = 3; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->y_stride = 3; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->x = nullptr; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->y = nullptr; }));
  EXPECT_TRUE(refused([](CausalConvArgs* a) { a->w.taps = nullptr; }));
  EXPECT_EQ(y, std::vector<float>(8, 7.0f));
  EXPECT_TRUE(impl().run(good).ok());
}

}  // namespace
}  // namespace penstock::kernels
