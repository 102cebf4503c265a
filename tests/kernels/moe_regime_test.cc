#include <gtest/gtest.h>

#include "kernels/moe_ffn/cuda/regime.h"

namespace penstock::kernels {
namespace {

constexpr GpuArch kArchs[] = {GpuArch::kSm80, GpuArch::kSm90a, GpuArch::kSm100a};

// The shape of Qwen3-30B-A3B's experts.
MoeWork Work(int64_t pairs, int64_t active) { return {pairs, active, 2048, 768, 2048}; }

TEST(MoeRegimeTest, StreamsWeightsWhereExpertsHaveFewRows) {
  for (const GpuArch arch : kArchs) {
    for (const auto& [pairs, active] : {std::pair{8, 8}, {16, 8}, {64, 57}, {32, 8}, {4, 1}}) {
      EXPECT_EQ(PickMoeTiling(Work(pairs, active), arch).regime, MoeRegime::kStream) << pairs;
    }
  }
}

// A mean of four rows over many experts: some have more, and would be read twice.
TEST(MoeRegimeTest, ManyPairsAreNotStreamed) {
  for (const GpuArch arch : kArchs) {
    EXPECT_EQ(PickMoeTiling(Work(512, 128), arch).regime, MoeRegime::kSwapAb);
    EXPECT_EQ(PickMoeTiling(Work(65, 65), arch).regime, MoeRegime::kSwapAb);
  }
}

TEST(MoeRegimeTest, SwapsOperandsUpTo64Rows) {
  for (const GpuArch arch : kArchs) {
    for (const int64_t rows : {5, 8, 16, 31, 32, 63, 64}) {
      EXPECT_EQ(PickMoeTiling(Work(rows * 8, 8), arch).regime, MoeRegime::kSwapAb) << rows;
    }
    EXPECT_EQ(PickMoeTiling(Work(5, 1), arch).regime, MoeRegime::kSwapAb);
  }
}

TEST(MoeRegimeTest, TilesHoldTwiceTheMean) {
  EXPECT_EQ(PickMoeTiling(Work(128 * 4, 128), GpuArch::kSm90a).tokens, 8);
  EXPECT_EQ(PickMoeTiling(Work(128 * 5, 128), GpuArch::kSm90a).tokens, 16);
  EXPECT_EQ(PickMoeTiling(Work(128 * 16, 128), GpuArch::kSm90a).tokens, 32);
  EXPECT_EQ(PickMoeTiling(Work(128 * 17, 128), GpuArch::kSm90a).tokens, 64);
}

TEST(MoeRegimeTest, GroupsMoreRows) {
  for (const GpuArch arch : kArchs) {
    for (const int64_t rows : {65, 128, 256, 1024}) {
      EXPECT_EQ(PickMoeTiling(Work(rows * 128, 128), arch).regime, MoeRegime::kGrouped) << rows;
    }
  }
}

TEST(MoeRegimeTest, PickedTilingsExist) {
  for (const GpuArch arch : kArchs) {
    for (int64_t pairs = 0; pairs < 5000; pairs += 37) {
      for (const int64_t active : {0, 1, 7, 128}) {
        EXPECT_TRUE(IsMoeTiling(PickMoeTiling(Work(pairs, active), arch))) << pairs;
      }
    }
  }
  EXPECT_FALSE(IsMoeTiling({MoeRegime::kStream, 8}));
  EXPECT_FALSE(IsMoeTiling({MoeRegime::kSwapAb, 24}));
  EXPECT_FALSE(IsMoeTiling({MoeRegime::kGrouped, 64}));
}

// One row for each of 8 experts: 8 * 3 * 2048 * 768 weights of 2 bytes in 3.35e12 bytes a second.
TEST(MoeRegimeTest, FewRowsTakeTheTimeOfTheirWeights) {
  const double weights = 8.0 * 3 * 2048 * 768 * 2 / 3.35e12;
  const GpuLimits limits = SpecLimits(GpuArch::kSm90a);
  EXPECT_NEAR(MoeSeconds(Work(8, 8), {MoeRegime::kStream, 4}, limits), weights, weights * 0.01);
  EXPECT_NEAR(MoeSeconds(Work(8, 8), {MoeRegime::kSwapAb, 8}, limits), weights, weights * 0.01);
  // Four rows: a widening and five quarters of an instruction a row for each weight.
  GpuLimits slow = limits;
  slow.float_flops = 1e12;
  const double instructions = 8.0 * 3 * 2048 * 768 * (1 + 4 * 1.25);
  EXPECT_NEAR(MoeSeconds(Work(32, 8), {MoeRegime::kStream, 4}, slow), instructions * 2 / 1e12,
              weights * 0.01);
}

// 1024 rows an expert: a byte of shared memory serves 16 flops of a tile of 128 rows.
TEST(MoeRegimeTest, ManyRowsTakeTheTimeOfTheirProducts) {
  const GpuLimits limits = SpecLimits(GpuArch::kSm90a);
  const double flops = 2.0 * 128 * 1024 * 3 * 2048 * 768;
  const double seconds = MoeSeconds(Work(128 * 1024, 128), {MoeRegime::kGrouped, 128}, limits);
  EXPECT_GE(seconds, flops / limits.tensor_flops);
  EXPECT_NEAR(seconds, flops / 16 / limits.shared_bytes, seconds * 0.01);
}

TEST(MoeRegimeTest, NoPairsTakeNoTime) {
  EXPECT_EQ(MoeSeconds(Work(0, 0), {MoeRegime::kStream, 4}, SpecLimits(GpuArch::kSm80)), 0);
}

// 128 (1 - (1 - 8 / 128)^T), rounded.
TEST(MoeRegimeTest, ExpectsTheExpertsOfUniformRouting) {
  EXPECT_EQ(ExpectedActive(1, 8, 128), 8);
  EXPECT_EQ(ExpectedActive(8, 8, 128), 52);
  EXPECT_EQ(ExpectedActive(4096, 8, 128), 128);
  EXPECT_EQ(ExpectedActive(3, 2, 1), 1);
  EXPECT_EQ(ExpectedActive(0, 8, 128), 0);
}

}  // namespace
}  // namespace penstock::kernels
