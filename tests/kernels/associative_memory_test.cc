#include "kernels/associative_memory/associative_memory.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using AssociativeMemoryTest = KernelTest<AssociativeMemoryImpl, AssociativeMemoryImpls>;
INSTANTIATE_TEST_SUITE_P(All, AssociativeMemoryTest,
                         testing::ValuesIn(Names(AssociativeMemoryImpls())), ParamName);

// Unpacked; an empty bias is null.
struct Weights {
  std::vector<float> norm_weight, norm_bias, conv, conv_bias, memory;
  std::vector<float> local_gate, local_bias, global_gate, global_bias;
  int64_t d, width, slots;

  PackedAssociativeMemory Pack() const {
    const auto bias = [](const std::vector<float>& b) { return b.empty() ? nullptr : b.data(); };
    return PackedAssociativeMemory(norm_weight.data(), bias(norm_bias), conv.data(),
                                   bias(conv_bias), memory.data(), local_gate.data(),
                                   bias(local_bias), global_gate.data(), bias(global_bias), d,
                                   width, slots);
  }
};

Weights RandomWeights(int64_t d, int64_t width, int64_t slots, uint32_t seed) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  return {RandomFloats(d, seed),
          RandomFloats(d, seed + 1),
          RandomFloats(d * width, seed + 2, 0.5f),
          RandomFloats(d, seed + 3),
          RandomFloats(slots * d, seed + 4, scale),
          RandomFloats(d * d, seed + 5, scale),
          RandomFloats(d, seed + 6),
          RandomFloats(d * d, seed + 7, scale),
          {},
          d,
          width,
          slots};
}

// Normal inputs, no convolution, gates of 1/2 : y = x + global / 2.
Weights GlobalOnly(int64_t d, std::vector<float> memory) {
  const size_t n = static_cast<size_t>(d);
  const int64_t slots = static_cast<int64_t>(memory.size()) / d;
  return {std::vector<float>(n, 1.0f),
          {},
          std::vector<float>(n, 0.0f),
          {},
          std::move(memory),
          std::vector<float>(n * n, 0.0f),
          {},
          std::vector<float>(n * n, 0.0f),
          {},
          d,
          1,
          slots};
}

struct Answer {
  std::vector<float> y, state;
};

Answer Compute(const AssociativeMemoryImpl& impl, const AssociativeMemoryWeights& w,
               int64_t sequences, const std::vector<float>& x, std::vector<float> state = {}) {
  AssociativeMemoryArgs args;
  args.w = w;
  args.sequences = sequences;
  args.steps = static_cast<int64_t>(x.size()) / (sequences * w.keys.in);
  args.x = x.data();
  Answer answer = {Poison(static_cast<int64_t>(x.size())), std::move(state)};
  if (!answer.state.empty()) args.state = answer.state.data();
  args.y = answer.y.data();
  GuardedWorkspace workspace(AssociativeMemoryWorkspaceBytes(w, sequences, args.steps));
  args.workspace = workspace.get();
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return answer;
}

// One line reproduces a failure: seed and shape.
TEST_P(AssociativeMemoryTest, RandomShapesMatchReferenceTwiceToTheBit) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    const int64_t d = draw(2, 50), width = draw(1, kMostConvWidth), slots = draw(1, 70);
    const int64_t sequences = draw(1, 5), steps = draw(0, 3) == 0 ? draw(90, 210) : draw(1, 30);
    const bool carried = draw(0, 1) == 1;
    const std::string what = "seed " + std::to_string(seed) + " d " + std::to_string(d) +
                             " width " + std::to_string(width) + " slots " + std::to_string(slots) +
                             " sequences " + std::to_string(sequences) + " steps " +
                             std::to_string(steps) + (carried ? " state" : "");
    const PackedAssociativeMemory memory = RandomWeights(d, width, slots, seed).Pack();
    const std::vector<float> x = RandomFloats(sequences * steps * d, seed + 10, 2.0f);
    std::vector<float> state;
    if (carried) state = RandomFloats(sequences * (width - 1) * d, seed + 11);
    const Answer a = Compute(impl(), memory.weights(), sequences, x, state);
    const Answer b = Compute(impl(), memory.weights(), sequences, x, state);
    const Answer e = Compute(reference(), memory.weights(), sequences, x, state);
    EXPECT_LE(RelativeError(a.y, e.y), kTolerance) << what;
    EXPECT_LE(RelativeError(a.state, e.state), kTolerance) << what;
    EXPECT_TRUE(SameBits(a.y.data(), b.y.data(), static_cast<int64_t>(a.y.size()))) << what;
  }
}

// d = 2, x = (1, 3): h = (-1, 1) but for eps. M = (0, 1; ln 3, 0): scores (1, -ln 3).
TEST_P(AssociativeMemoryTest, ComputesItsDefinition) {
  const float log3 = std::log(3.0f);
  Weights w = GlobalOnly(2, {0, 1, log3, 0});
  w.conv = {10, 100};          // of the step itself
  w.local_bias = {0, log3};    // sigmoid: 1/2, 3/4
  w.global_bias = {-log3, 0};  // 1/4, 1/2
  const Answer a = Compute(impl(), w.Pack().weights(), 1, {1, 3});
  const double first = std::exp(1.0) / (std::exp(1.0) + 1.0 / 3);
  EXPECT_NEAR(a.y[0], 1 - 10 * 0.5 + 0.25 * std::log(3.0) * (1 - first), 1e-4);
  EXPECT_NEAR(a.y[1], 3 + 100 * 0.75 + 0.5 * first, 1e-3);
}

TEST_P(AssociativeMemoryTest, OneSlotIsRecalledWhateverTheInput) {
  constexpr int64_t kDim = 19;
  const std::vector<float> slot = RandomFloats(kDim, 1, 30.0f);
  const PackedAssociativeMemory memory = GlobalOnly(kDim, slot).Pack();
  const std::vector<float> x = RandomFloats(7 * kDim, 2);
  std::vector<float> expected = x;
  for (size_t i = 0; i < x.size(); ++i) expected[i] += 0.5f * slot[i % kDim];
  EXPECT_EQ(Compute(impl(), memory.weights(), 1, x).y, expected);
}

// Scores of some thousands: without the largest taken off, exp would overflow.
TEST_P(AssociativeMemoryTest, LargeLogitsRecallTheNearestSlot) {
  constexpr int64_t kDim = 16;
  std::vector<float> slots = RandomFloats(3 * kDim, 3, 0.1f), x = RandomFloats(kDim, 4);
  float mean = 0;
  for (float v : x) mean += v / kDim;
  for (int64_t i = 0; i < kDim; ++i) {
    slots[static_cast<size_t>(kDim + i)] = 300 * (x[static_cast<size_t>(i)] - mean);
  }
  const Answer a = Compute(impl(), GlobalOnly(kDim, slots).Pack().weights(), 1, x);
  std::vector<float> expected = x;
  for (size_t i = 0; i < kDim; ++i) expected[i] += 0.5f * slots[kDim + i];
  EXPECT_LE(RelativeError(a.y, expected), 1e-6);
  for (float& v : slots) v = -v;  // the nearest is one of the others
  for (float y : Compute(impl(), GlobalOnly(kDim, slots).Pack().weights(), 1, x).y) {
    EXPECT_LT(std::abs(y), 10);
  }
}

// A large common offset is taken off before anything is squared.
TEST_P(AssociativeMemoryTest, NormSurvivesALargeMean) {
  constexpr int64_t kDim = 24;
  Weights w = GlobalOnly(kDim, std::vector<float>(kDim, 0.0f));
  w.conv.assign(kDim, 2.0f);  // y = x + h
  std::vector<float> x = RandomFloats(kDim, 5), far = x;
  // Multiples of 1/256 below 16: exact beside 4096.
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::round(x[i] * 256) / 256;
  for (size_t i = 0; i < x.size(); ++i) far[i] = x[i] + 4096;
  const std::vector<float> near_y = Compute(impl(), w.Pack().weights(), 1, x).y;
  const std::vector<float> far_y = Compute(impl(), w.Pack().weights(), 1, far).y;
  for (size_t i = 0; i < x.size(); ++i) {
    // A mean of 4096 is known to 2^-12; y is rounded likewise.
    EXPECT_NEAR(far_y[i] - far[i], near_y[i] - x[i], 2e-3) << i;
  }
}

TEST_P(AssociativeMemoryTest, AStepChangesNoEarlierOne) {
  constexpr int64_t kSteps = 100, kDim = 18, kWidth = 4;  // more than a block
  const PackedAssociativeMemory memory = RandomWeights(kDim, kWidth, 9, 6).Pack();
  const std::vector<float> x = RandomFloats(kSteps * kDim, 7);
  const std::vector<float> before = Compute(impl(), memory.weights(), 1, x).y;
  for (int64_t t : {0, 1, 50, 94, 95, 96, 99}) {
    std::vector<float> changed = x;
    changed[static_cast<size_t>(t * kDim + 3)] += 1;
    const std::vector<float> after = Compute(impl(), memory.weights(), 1, changed).y;
    for (int64_t i = 0; i < kSteps; ++i) {
      EXPECT_EQ(SameBits(before.data() + i * kDim, after.data() + i * kDim, kDim),
                i < t || i >= t + kWidth)
          << t << " " << i;
    }
  }
}

TEST_P(AssociativeMemoryTest, CutAnywhereWithItsStateIsTheWholePassBitForBit) {
  constexpr int64_t kSteps = 107, kDim = 10;
  for (int64_t width : {1, 4}) {
    const PackedAssociativeMemory memory = RandomWeights(kDim, width, 6, 8).Pack();
    const std::vector<float> x = RandomFloats(kSteps * kDim, 9);
    const std::vector<float> zeros(static_cast<size_t>((width - 1) * kDim), 0.0f);
    const Answer whole = Compute(impl(), memory.weights(), 1, x, zeros);
    EXPECT_EQ(Compute(impl(), memory.weights(), 1, x).y, whole.y);  // without a state
    for (int64_t cut : {1, 2, 3, 50, 95, 96, 97, 106}) {
      const Answer head =
          Compute(impl(), memory.weights(), 1, {x.begin(), x.begin() + cut * kDim}, zeros);
      const Answer tail =
          Compute(impl(), memory.weights(), 1, {x.begin() + cut * kDim, x.end()}, head.state);
      std::vector<float> y = head.y;
      y.insert(y.end(), tail.y.begin(), tail.y.end());
      EXPECT_EQ(y, whole.y) << width << " " << cut;
      EXPECT_EQ(tail.state, whole.state) << width << " " << cut;
    }
  }
}

TEST_P(AssociativeMemoryTest, SequenceAloneEqualsSequenceInAnyBatch) {
  constexpr int64_t kSequences = 67, kSteps = 3, kDim = 12, kRow = kSteps * kDim;
  const PackedAssociativeMemory memory = RandomWeights(kDim, 4, 7, 10).Pack();
  const std::vector<float> x = RandomFloats(kSequences * kRow, 11);
  std::vector<float> alone;
  for (int64_t s = 0; s < kSequences; ++s) {
    const Answer a =
        Compute(impl(), memory.weights(), 1, {x.begin() + s * kRow, x.begin() + (s + 1) * kRow});
    alone.insert(alone.end(), a.y.begin(), a.y.end());
  }
  for (int64_t n = 1; n <= kSequences; ++n) {
    const Answer a = Compute(impl(), memory.weights(), n, {x.begin(), x.begin() + n * kRow});
    ASSERT_TRUE(SameBits(a.y.data(), alone.data(), n * kRow)) << n;
  }
}

TEST_P(AssociativeMemoryTest, WorksInPlace) {
  constexpr int64_t kSteps = 130, kDim = 11;
  const PackedAssociativeMemory memory = RandomWeights(kDim, 4, 5, 12).Pack();
  std::vector<float> x = RandomFloats(2 * kSteps * kDim, 13);
  const std::vector<float> expected = Compute(impl(), memory.weights(), 2, x).y;
  GuardedWorkspace workspace(AssociativeMemoryWorkspaceBytes(memory.weights(), 2, kSteps));
  AssociativeMemoryArgs args;
  args.w = memory.weights();
  args.sequences = 2;
  args.steps = kSteps;
  args.x = args.y = x.data();
  args.workspace = workspace.get();
  ASSERT_TRUE(impl().run(args).ok());
  EXPECT_EQ(x, expected);
}

TEST_P(AssociativeMemoryTest, NanReachesTheWidthAfterItOfItsSequence) {
  constexpr int64_t kSteps = 9, kDim = 12, kWidth = 3;
  const PackedAssociativeMemory memory = RandomWeights(kDim, kWidth, 7, 14).Pack();
  std::vector<float> x = RandomFloats(3 * kSteps * kDim, 15);
  x[static_cast<size_t>((kSteps + 4) * kDim + 5)] = kNan;  // sequence 1, step 4
  const Answer a = Compute(impl(), memory.weights(), 3, x);
  for (int64_t i = 0; i < 3 * kSteps * kDim; ++i) {
    const int64_t row = i / kDim;
    EXPECT_EQ(std::isnan(a.y[static_cast<size_t>(i)]),
              row >= kSteps + 4 && row < kSteps + 4 + kWidth)
        << i;
  }
}

TEST_P(AssociativeMemoryTest, EmptyWorkAndBadArguments) {
  const PackedAssociativeMemory memory = RandomWeights(4, 3, 5, 16).Pack();
  const std::vector<float> x(8, 1.0f);
  std::vector<float> y(8, 7.0f);
  GuardedWorkspace workspace(AssociativeMemoryWorkspaceBytes(memory.weights(), 1, 2));
  AssociativeMemoryArgs good;
  good.w = memory.weights();
  good.sequences = 1;
  good.steps = 2;
  good.x = x.data();
  good.y = y.data();
  good.workspace = workspace.get();
  const auto refused = [&](auto change) {
    AssociativeMemoryArgs args = good;
    change(&args);
    return impl().run(args).code == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.keys.out = a->w.values.in = 0; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.values.out = 5; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.gates.out = 4; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.conv.channels = 3; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.conv.width = 0; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->w.norm_weight = nullptr; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->steps = -1; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { a->x = nullptr; }));
  EXPECT_TRUE(refused([](AssociativeMemoryArgs* a) { --a->workspace.bytes; }));
  EXPECT_EQ(y, std::vector<float>(8, 7.0f));
  std::vector<float> state(2 * 4, 3.0f);
  good.state = state.data();
  good.steps = 0;
  EXPECT_TRUE(impl().run(good).ok());
  EXPECT_EQ(y, std::vector<float>(8, 7.0f));
  EXPECT_EQ(state, std::vector<float>(8, 3.0f));
}

}  // namespace
}  // namespace penstock::kernels
