// The CUDA path of moe_ffn: on the emulator everywhere, on a device where one is.

#include <algorithm>
#include <cstring>

#include "kernels/moe_ffn/cuda/device_moe.h"
#include "kernels/moe_ffn/cuda/moe_steps.h"
#include "tests/kernels/kernel_test.h"
#include "tests/kernels/moe_device_problem.h"
#include "tests/kernels/simt_emulator.h"

namespace penstock::kernels {
namespace {

constexpr MoeTiling kStream = {MoeRegime::kStream, 4};
constexpr MoeTiling kGrouped = {MoeRegime::kGrouped, 128};
constexpr MoeTiling kGemms[] = {{MoeRegime::kSwapAb, 8},
                                {MoeRegime::kSwapAb, 16},
                                {MoeRegime::kSwapAb, 32},
                                {MoeRegime::kSwapAb, 64},
                                kGrouped};

// bfloat16 in and out of the first product.
constexpr double kBf16Tolerance = 5e-3;

template <int kTokens>
void EmulateGemms(const MoeSteps& steps, uint32_t seed) {
  using Shape = ExpertGemmShape<kTokens>;
  const SimtLaunch launch = {3, Shape::kThreads, Shape::kSharedBytes, seed};
  RunSimt(launch, [&] { ExpertGemm<kTokens, true>(steps.gate_up); });
  RunSimt(launch, [&] { ExpertGemm<kTokens, false>(steps.down); });
}

// What device_moe_cuda.cu launches, with three blocks: fewer than there are items, and than
// experts.
void EmulateSteps(const MoeSteps& steps, uint32_t seed) {
  if (steps.tiles.most > 0) {
    RunSimt({1, kTilePlanThreads, kTilePlanSharedBytes, seed},
            [&] { PlanTokenTiles(steps.tiles); });
    switch (steps.tiles.tokens) {
      case 4: {
        const SimtLaunch launch = {3, kGemvThreads, 0, seed};
        RunSimt(launch, [&] { ExpertGemv<true>(steps.gate_up); });
        RunSimt(launch, [&] { ExpertGemv<false>(steps.down); });
        break;
      }
      case 8:
        EmulateGemms<8>(steps, seed);
        break;
      case 16:
        EmulateGemms<16>(steps, seed);
        break;
      case 32:
        EmulateGemms<32>(steps, seed);
        break;
      case 64:
        EmulateGemms<64>(steps, seed);
        break;
      default:
        EmulateGemms<128>(steps, seed);
    }
  }
  RunSimt({2, kRowThreads, 0, seed}, [&] { SumSlots(steps.sums); });
}

// The problem by the device's kernels on the CPU. All memory starts as NaN.
std::vector<float> Emulate(const MoeProblem& problem, const MoeTiling& tiling, uint32_t seed = 1) {
  const MoeWeights w = problem.moe->weights();
  const ExpertLayout layout = LayoutOf(w);
  const AlignedBuffer weights(layout.bytes());
  std::memset(weights.data(), 0xFF, weights.bytes());
  EXPECT_TRUE(PackExperts(w, [&](size_t at, const void* from, size_t bytes) -> Status {
                EXPECT_LE(at + bytes, layout.bytes());
                if (bytes > 0) std::memcpy(static_cast<char*>(weights.data()) + at, from, bytes);
                return {};
              }).ok());

  const int64_t stride = layout.d_stride() + 8;  // and 8 elements that no row owns
  const AlignedBuffer x(static_cast<size_t>(2 * problem.rows * stride) + 16);
  std::memset(x.data(), 0xFF, x.bytes());
  for (int64_t t = 0; t < problem.rows; ++t) {
    for (int64_t i = 0; i < w.d; ++i) {
      static_cast<uint16_t*>(x.data())[t * stride + i] =
          ToBf16(problem.x[static_cast<size_t>(t * w.d + i)]);
    }
  }

  const MoeRoutes routes(problem);
  const size_t scratch = MoeDeviceWorkspaceBytes(layout, problem.rows, problem.k);
  constexpr size_t kGuard = 256;
  const AlignedBuffer raw(scratch + kMoeDeviceAlign + kGuard);
  std::memset(raw.data(), 0xFF, raw.bytes());
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw.data());
  char* workspace = static_cast<char*>(raw.data()) +
                    (kMoeDeviceAlign - start % kMoeDeviceAlign) % kMoeDeviceAlign;

  std::vector<float> y = Poison(problem.rows * w.o);
  MoeDeviceArgs args;
  args.rows = problem.rows;
  args.k = problem.k;
  args.offsets = routes.offsets.data();
  args.src = routes.src.data();
  args.dst = routes.dst.data();
  args.weights = problem.weights.data();
  args.x = static_cast<const uint16_t*>(x.data());
  args.x_stride = stride;
  args.residual = problem.residual.empty() ? nullptr : problem.residual.data();
  args.y = y.data();
  args.workspace = workspace;
  args.workspace_bytes = scratch;
  args.tiling = tiling;
  EXPECT_EQ(CheckMoeDevice(layout, args).message, std::string());
  EmulateSteps(StepsOf(layout, static_cast<const char*>(weights.data()), args), seed);
  EXPECT_TRUE(std::all_of(workspace + scratch, workspace + scratch + kGuard,
                          [](char byte) { return byte == '\xFF'; }));
  return y;
}

std::vector<MoeTiling> AllTilings() {
  std::vector<MoeTiling> all(std::begin(kGemms), std::end(kGemms));
  all.push_back(kStream);
  return all;
}

TEST(MoeEmulatedTest, EveryTilingMatchesReference) {
  for (const auto& shape : {MoeShape{1, 1, 1, 1, 1, 1}, MoeShape{20, 2, 7, 24, 40, 24},
                            MoeShape{9, 3, 5, 17, 9, 11}, MoeShape{12, 2, 3, 136, 72, 133}}) {
    const MoeProblem problem = RandomProblem(shape);
    const std::vector<float> expected = Reference(problem);
    for (const MoeTiling& tiling : AllTilings()) {
      EXPECT_LE(RelativeError(Emulate(problem, tiling), expected), kBf16Tolerance)
          << shape.d << " " << tiling.tokens;
    }
  }
}

// Over 256 inputs, so that the lanes of a GEMV go round, and over all stages of a GEMM.
TEST(MoeEmulatedTest, LongRowsMatchReference) {
  const MoeProblem problem = RandomProblem({3, 2, 2, 520, 24, 16});
  for (const MoeTiling& tiling : {kStream, kGemms[0], kGrouped}) {
    EXPECT_LE(RelativeError(Emulate(problem, tiling), Reference(problem)), kBf16Tolerance)
        << tiling.tokens;
  }
}

TEST(MoeEmulatedTest, EveryActivationMatchesReference) {
  for (const Activation activation :
       {Activation::kSwiGlu, Activation::kGeGluTanh, Activation::kGeGluErf, Activation::kReGlu2,
        Activation::kClampedSwiGlu}) {
    const MoeProblem problem = RandomProblem({6, 2, 3, 24, 16, 24}, activation);
    for (const MoeTiling& tiling : {kStream, kGemms[0]}) {
      EXPECT_LE(RelativeError(Emulate(problem, tiling), Reference(problem)), kBf16Tolerance)
          << tiling.tokens;
    }
  }
}

// Nothing, one, all but one, all, one more and several times what a tile holds, on one expert.
TEST(MoeEmulatedTest, AnyNumberOfRowsPerExpert) {
  for (const MoeTiling& tiling : {kStream, kGemms[0], kGemms[2], kGrouped}) {
    const int64_t n = tiling.tokens;
    for (const int64_t rows : {int64_t{1}, n - 1, n, n + 1}) {
      MoeProblem problem = RandomProblem({rows, 1, 3, 16, 16, 16});
      std::fill(problem.ids.begin(), problem.ids.end(), 1);
      EXPECT_LE(RelativeError(Emulate(problem, tiling), Reference(problem)), kBf16Tolerance)
          << n << " " << rows;
    }
  }
}

// Gate 1, up e + 1, relu(1)^2 = 1: expert e returns e + 1, exactly.
TEST(MoeEmulatedTest, EachPairMeetsItsExpert) {
  constexpr int64_t kExperts = 6;
  std::vector<PackedGatedMlp> experts;
  for (int64_t e = 0; e < kExperts; ++e) {
    const float gate_up[] = {1.0f, static_cast<float>(e + 1)}, down = 1;
    experts.emplace_back(PackedLinear(gate_up, nullptr, 1, 2, WeightFormat::kBf16),
                         PackedLinear(&down, nullptr, 1, 1, WeightFormat::kBf16), nullptr,
                         Activation::kReGlu2, false);
  }
  const MoeProblem problem = {std::make_shared<const PackedMoe>(std::move(experts)),
                              5,
                              2,
                              {0, 5, 3, 3, -1, 2, 4, 1, -1, -1},
                              {1, 10, 1, 10, kNan, 10, 1, 10, kNan, kNan},
                              {1, 1, 1, 1, 1},
                              {}};
  for (const MoeTiling& tiling : AllTilings()) {
    EXPECT_EQ(Emulate(problem, tiling), (std::vector<float>{61, 44, 30, 25, 0})) << tiling.tokens;
  }
}

// gate = 2 + 1, up = 3 - 1, down 9 * 2 * 2 + 5.
TEST(MoeEmulatedTest, BiasesAreAdded) {
  const float gate_up[] = {2, 3}, gate_up_bias[] = {1, -1}, down = 2, down_bias = 5;
  std::vector<PackedGatedMlp> experts;
  experts.emplace_back(PackedLinear(gate_up, gate_up_bias, 1, 2, WeightFormat::kBf16),
                       PackedLinear(&down, &down_bias, 1, 1, WeightFormat::kBf16), nullptr,
                       Activation::kReGlu2, false);
  const MoeProblem problem = {
      std::make_shared<const PackedMoe>(std::move(experts)), 1, 1, {0}, {2}, {1}, {}};
  for (const MoeTiling& tiling : AllTilings()) {
    EXPECT_EQ(Emulate(problem, tiling), (std::vector<float>{2 * (9 * 2 * 2 + 5)}));
  }
}

// Tensor-core tilings sum in one order, whatever the tile and the order of threads and blocks.
TEST(MoeEmulatedTest, GemmTilingsAgreeBitForBit) {
  const MoeProblem problem = RandomProblem({20, 2, 3, 136, 72, 133});
  const std::vector<float> y = Emulate(problem, kGrouped);
  for (const MoeTiling& tiling : kGemms) {
    const std::vector<float> again = Emulate(problem, tiling, 77);
    EXPECT_TRUE(SameBits(again.data(), y.data(), static_cast<int64_t>(y.size()))) << tiling.tokens;
  }
}

TEST(MoeEmulatedTest, RowAloneEqualsRowInTheBatch) {
  const MoeProblem problem = RandomProblem({11, 2, 3, 40, 24, 20});
  for (const MoeTiling& tiling : {kStream, kGemms[1]}) {
    const std::vector<float> y = Emulate(problem, tiling);
    for (int64_t t = 0; t < problem.rows; ++t) {
      EXPECT_TRUE(SameBits(Emulate(problem.Row(t), tiling).data(), y.data() + t * 20, 20)) << t;
    }
  }
}

TEST(MoeEmulatedTest, NanStaysInItsRow) {
  MoeProblem problem = RandomProblem({5, 1, 2, 12, 9, 12});
  problem.residual.clear();
  problem.ids = {0, 1, 0, 1, 0};
  problem.x[2 * 12 + 1] = kNan;
  for (const MoeTiling& tiling : AllTilings()) {
    const std::vector<float> y = Emulate(problem, tiling);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 12 == 2) << i;
  }
}

TEST(MoeEmulatedTest, RowsWithoutExpertsAreTheResidual) {
  MoeProblem problem = RandomProblem({3, 2, 2, 8, 8, 8});
  std::fill(problem.ids.begin(), problem.ids.end(), -1);
  std::fill(problem.weights.begin(), problem.weights.end(), kNan);
  for (const MoeTiling& tiling : AllTilings()) {
    EXPECT_EQ(Emulate(problem, tiling), problem.residual);
  }
}

TEST(MoeEmulatedTest, RoundsRowsAndClearsWhatFollows) {
  const std::vector<float> x = {1.0f, 3.14159265f, -2.0f, kNan, 0.1f, 1e30f};
  std::vector<uint16_t> y(16, 0xFFFF);
  RunSimt({2, kRowThreads, 0, 1}, [&] { RoundRows({x.data(), 2, 3, y.data(), 8}); });
  for (size_t i = 0; i < 16; ++i) {
    const size_t column = i % 8;
    EXPECT_EQ(y[i], column < 3 ? ToBf16(x[i / 8 * 3 + column]) : 0) << i;
  }
}

TEST(MoeDeviceArgsTest, RefusesWhatTheKernelsCannotRead) {
  const ExpertLayout layout = {2, 8, 8, 8};
  alignas(256) static char memory[1 << 16];
  MoeDeviceArgs good;
  good.rows = 3;
  good.k = 2;
  good.offsets = good.src = good.dst = reinterpret_cast<const int32_t*>(memory);
  good.weights = good.y = reinterpret_cast<float*>(memory);
  good.x = reinterpret_cast<const uint16_t*>(memory);
  good.x_stride = 8;
  good.workspace = memory;
  good.workspace_bytes = MoeDeviceWorkspaceBytes(layout, 3, 2);
  ASSERT_LE(good.workspace_bytes, sizeof(memory));
  EXPECT_TRUE(CheckMoeDevice(layout, good).ok());
  const auto refused = [&](auto change) {
    MoeDeviceArgs args = good;
    change(args);
    return CheckMoeDevice(layout, args).code == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.rows = -1; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.src = nullptr; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.x_stride = 12; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.x_stride = 0; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { ++a.x; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { --a.workspace_bytes; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.workspace = memory + 16; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.tiling = {MoeRegime::kGrouped, 8}; }));
  EXPECT_TRUE(refused([](MoeDeviceArgs& a) { a.rows = int64_t{1} << 31; }));
  good.workspace_bytes = size_t{1} << 60;
  good.x_stride = int64_t{1} << 25;
  EXPECT_EQ(CheckMoeDevice({2, int64_t{1} << 24, 8, 8}, good).code, Code::kInvalidArgument);
}

TEST(DeviceMoeTest, RefusesWeightsThatAreNotBf16) {
  const std::vector<float> ones(4, 1.0f);
  const PackedMoe moe(ones.data(), ones.data(), ones.data(), 1, 2, 2, 2);
  EXPECT_FALSE(AllBf16(moe.weights()));
  EXPECT_EQ(DeviceMoe().Upload(moe.weights()).code, Code::kUnsupported);
}

// --- On a device.

TEST(MoeOnDeviceTest, EveryTilingMatchesReference) {
  if (!CudaDevicePresent()) GTEST_SKIP() << "this machine or build has no CUDA device";
  for (const auto& shape :
       {MoeShape{1, 1, 1, 1, 1, 1}, MoeShape{9, 3, 5, 17, 9, 11}, MoeShape{130, 2, 3, 136, 72, 133},
        MoeShape{300, 4, 16, 512, 256, 512}}) {
    const MoeProblem problem = RandomProblem(shape);
    const std::vector<float> expected = Reference(problem);
    DeviceProblem on_device(problem);
    for (const MoeTiling& tiling : AllTilings()) {
      EXPECT_LE(RelativeError(on_device.Run(tiling), expected), kBf16Tolerance)
          << shape.d << " " << tiling.tokens;
    }
  }
}

TEST(MoeOnDeviceTest, GemmTilingsAgreeBitForBitAndTwice) {
  if (!CudaDevicePresent()) GTEST_SKIP() << "this machine or build has no CUDA device";
  const MoeProblem problem = RandomProblem({300, 4, 16, 512, 256, 512});
  DeviceProblem on_device(problem);
  const std::vector<float> y = on_device.Run(kGrouped);
  for (const MoeTiling& tiling : kGemms) {
    const std::vector<float> again = on_device.Run(tiling);
    EXPECT_TRUE(SameBits(again.data(), y.data(), static_cast<int64_t>(y.size()))) << tiling.tokens;
  }
  const std::vector<float> streamed = on_device.Run(kStream), again = on_device.Run(kStream);
  EXPECT_TRUE(SameBits(again.data(), streamed.data(), static_cast<int64_t>(y.size())));
}

// --- Of every entry, with weights that the CUDA entry takes through the device's path.

using MoeBf16Test = KernelTest<MoeFfnImpl, MoeFfnImpls>;
INSTANTIATE_TEST_SUITE_P(All, MoeBf16Test, testing::ValuesIn(Names(MoeFfnImpls())), ParamName);

TEST_P(MoeBf16Test, MatchesReference) {
  for (const int64_t rows : {1, 7, 130}) {
    const MoeProblem problem = RandomProblem({rows, 2, 5, 136, 72, 133});
    EXPECT_LE(RelativeError(RunEntry(problem, impl().run), Reference(problem)), kBf16Tolerance)
        << rows;
  }
}

TEST_P(MoeBf16Test, AllRowsOnOneExpert) {
  for (const int64_t rows : {1, 4, 5, 127, 128, 129, 300}) {
    MoeProblem problem = RandomProblem({rows, 1, 3, 16, 16, 16});
    std::fill(problem.ids.begin(), problem.ids.end(), 1);
    EXPECT_LE(RelativeError(RunEntry(problem, impl().run), Reference(problem)), kBf16Tolerance)
        << rows;
  }
}

TEST_P(MoeBf16Test, NanStaysInItsRow) {
  MoeProblem problem = RandomProblem({5, 1, 2, 12, 9, 12});
  problem.ids = {0, 1, 0, 1, 0};
  problem.x[2 * 12 + 1] = kNan;
  const std::vector<float> y = RunEntry(problem, impl().run);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 12 == 2) << i;
}

TEST_P(MoeBf16Test, RowsWithoutExpertsAreTheResidual) {
  MoeProblem problem = RandomProblem({3, 2, 2, 8, 8, 8});
  std::fill(problem.ids.begin(), problem.ids.end(), -1);
  EXPECT_EQ(RunEntry(problem, impl().run), problem.residual);
}

}  // namespace
}  // namespace penstock::kernels
