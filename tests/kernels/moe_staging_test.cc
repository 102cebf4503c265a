// What a call that comes from the host needs no device for: where its operands stand, which tiles
// it takes, which shapes are remembered.

#include "kernels/moe_ffn/cuda/moe_staging.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "kernels/device/recent_uses.h"
#include "kernels/moe_ffn/cuda/device_moe.h"

namespace penstock::kernels {
namespace {

constexpr ExpertLayout kLayout = {5, 17, 9, 11};  // experts, d, f, o

// Parts in their order, with their sizes.
std::vector<std::pair<size_t, size_t>> PartsOf(const MoeStaging& at, const ExpertLayout& layout,
                                               const MoeCallShape& shape) {
  const auto bytes = [](int64_t count, int64_t each) { return static_cast<size_t>(count * each); };
  const int64_t slots = shape.rows * shape.k;
  return {{at.offsets, bytes(layout.experts + 1, 4)},
          {at.src, bytes(slots, 4)},
          {at.dst, bytes(slots, 4)},
          {at.weights, bytes(slots, 4)},
          {at.x, bytes(shape.rows * layout.d, 4)},
          {at.residual, bytes(shape.residual ? shape.rows * layout.o : 0, 4)},
          {at.y, bytes(shape.rows * layout.o, 4)},
          {at.rounded, bytes(shape.rows * layout.d_stride(), 2)},
          {at.workspace, at.workspace_bytes}};
}

TEST(MoeStagingTest, PartsFollowEachOtherOnWholeLines) {
  for (const bool residual : {false, true}) {
    for (const int64_t rows : {1, 2, 67, 300}) {
      for (const int64_t k : {0, 1, 4}) {
        const MoeCallShape shape = {rows, k, residual, {}};
        const MoeStaging at = StagingOf(kLayout, shape);
        size_t end = 0;
        for (const auto& [start, bytes] : PartsOf(at, kLayout, shape)) {
          EXPECT_EQ(start % kMoeDeviceAlign, 0u);
          EXPECT_GE(start, end);
          end = start + bytes;
        }
        EXPECT_LE(end, at.bytes);
        EXPECT_EQ(at.workspace_bytes, MoeDeviceWorkspaceBytes(kLayout, rows, k));
      }
    }
  }
}

TEST(MoeStagingTest, WhatIsGivenAndWhatComesBackAreOnePieceEach) {
  const MoeCallShape shape = {9, 2, true, {}};
  const MoeStaging at = StagingOf(kLayout, shape);
  EXPECT_EQ(at.offsets, 0u);
  EXPECT_GE(at.given, at.residual + 9 * 11 * 4);
  EXPECT_EQ(at.y, at.given);
  EXPECT_GE(at.mirrored, at.y + 9 * 11 * 4);
  EXPECT_EQ(at.rounded, at.mirrored);
}

TEST(MoeStagingTest, TilesGoByTheExpertsThatHaveRows) {
  const ExpertLayout layout = {4, 2048, 768, 2048};
  const auto tiling = [&](const std::vector<int32_t>& offsets) {
    return TilingOf(layout, offsets.data(), GpuArch::kSm90a);
  };
  EXPECT_EQ(tiling({0, 1, 2, 3, 4}).regime, MoeRegime::kStream);
  EXPECT_EQ(tiling({0, 0, 0, 0, 200}).regime, MoeRegime::kGrouped);
  EXPECT_EQ(tiling({0, 50, 100, 150, 200}).regime, MoeRegime::kSwapAb);
  EXPECT_TRUE(IsMoeTiling(tiling({0, 0, 0, 0, 0})));
}

TEST(MoeCallShapeTest, EveryMemberTellsShapesApart) {
  const MoeCallShape shape = {3, 2, false, {MoeRegime::kSwapAb, 16}};
  EXPECT_TRUE(shape == (MoeCallShape{3, 2, false, {MoeRegime::kSwapAb, 16}}));
  for (const MoeCallShape& other : {MoeCallShape{4, 2, false, {MoeRegime::kSwapAb, 16}},
                                    MoeCallShape{3, 1, false, {MoeRegime::kSwapAb, 16}},
                                    MoeCallShape{3, 2, true, {MoeRegime::kSwapAb, 16}},
                                    MoeCallShape{3, 2, false, {MoeRegime::kSwapAb, 32}},
                                    MoeCallShape{3, 2, false, {MoeRegime::kStream, 16}}}) {
    EXPECT_FALSE(shape == other);
  }
}

TEST(RecentUsesTest, TheOneThatWasNotAskedForLongestGoesFirst) {
  RecentUses<int, std::unique_ptr<int>> recent(2);
  EXPECT_EQ(recent.Find(1), nullptr);
  recent.Add(1, std::make_unique<int>(10));
  recent.Add(2, std::make_unique<int>(20));
  ASSERT_NE(recent.Find(1), nullptr);
  recent.Add(3, std::make_unique<int>(30));
  EXPECT_EQ(recent.Find(2), nullptr);
  ASSERT_NE(recent.Find(1), nullptr);
  EXPECT_EQ(**recent.Find(1), 10);
  EXPECT_EQ(**recent.Find(3), 30);
  EXPECT_EQ(recent.size(), 2u);
  recent.Clear();
  EXPECT_EQ(recent.Find(3), nullptr);
}

}  // namespace
}  // namespace penstock::kernels
