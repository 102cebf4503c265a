#include <algorithm>
#include <numeric>
#include <set>

#include "kernels/moe_ffn/cuda/expert_gemv.h"
#include "kernels/moe_ffn/cuda/gemm_shape.h"
#include "kernels/moe_ffn/cuda/packed_experts.h"
#include "kernels/moe_ffn/cuda/token_tiles.h"
#include "tests/kernels/kernel_test.h"
#include "tests/kernels/simt_emulator.h"

namespace penstock::kernels {
namespace {

using Ints = std::vector<int32_t>;

Ints OffsetsOf(const Ints& counts) {
  Ints offsets = {0};
  for (const int32_t count : counts) offsets.push_back(offsets.back() + count);
  return offsets;
}

std::vector<TokenTile> Plan(const Ints& offsets, int64_t pairs, int32_t tokens) {
  const auto experts = static_cast<int64_t>(offsets.size()) - 1;
  const int64_t most = MostTokenTiles(pairs, experts, tokens);
  // One tile more than may be written, to see that it is not.
  std::vector<TokenTile> tiles(static_cast<size_t>(most) + 1, TokenTile{-7, -7, -7, -7});
  Ints ends(static_cast<size_t>(experts), -7);
  int32_t count = -7;
  const TokenTilePlan plan = {offsets.data(), experts,     pairs,        most,
                              tokens,         ends.data(), tiles.data(), &count};
  RunSimt({1, kTilePlanThreads, kTilePlanSharedBytes, 3}, [&] { PlanTokenTiles(plan); });
  EXPECT_EQ(tiles.back().expert, -7);
  EXPECT_LE(count, most);
  tiles.resize(static_cast<size_t>(std::max(count, 0)));
  return tiles;
}

// Tiles follow one another without a gap and stay within their expert.
void ExpectTilesCover(const Ints& counts, int32_t tokens) {
  const Ints offsets = OffsetsOf(counts);
  int32_t next = 0, expert = 0;
  for (const TokenTile& tile : Plan(offsets, offsets.back(), tokens)) {
    EXPECT_EQ(tile.first, next);
    EXPECT_GE(tile.rows, 1);
    EXPECT_LE(tile.rows, tokens);
    EXPECT_GE(tile.expert, expert);
    expert = tile.expert;
    ASSERT_LT(static_cast<size_t>(expert), counts.size());
    next = tile.first + tile.rows;
    EXPECT_GE(tile.first, offsets[static_cast<size_t>(expert)]);
    EXPECT_LE(next, offsets[static_cast<size_t>(expert) + 1]);
    // Only an expert's last tile may be short.
    if (next < offsets[static_cast<size_t>(expert) + 1]) {
      EXPECT_EQ(tile.rows, tokens);
    }
  }
  EXPECT_EQ(next, offsets.back());
}

TEST(TokenTilesTest, CoverExactlyTheRowsOfEachExpert) {
  for (const int32_t n : {4, 8, 16, 32, 64, 128}) {
    ExpectTilesCover({0, 1, n - 1, n, n + 1, 0, 2 * n, 3 * n + 1, 0}, n);
    ExpectTilesCover({0, 0, 5 * n + 3, 0}, n);
    ExpectTilesCover({n}, n);
    ExpectTilesCover({0, 0, 0}, n);
  }
}

TEST(TokenTilesTest, MoreExpertsThanThreads) {
  Ints counts(3 * kTilePlanThreads + 5);
  for (size_t e = 0; e < counts.size(); ++e) counts[e] = static_cast<int32_t>(e * 7 % 11);
  ExpectTilesCover(counts, 4);
  ExpectTilesCover(counts, 128);
}

TEST(TokenTilesTest, MoreTilesThanThreads) { ExpectTilesCover({3, 4 * kTilePlanThreads + 9}, 4); }

TEST(TokenTilesTest, NoExpertsNoTiles) { EXPECT_TRUE(Plan({0}, 0, 8).empty()); }

TEST(TokenTilesTest, TheMostIsReachedAndNotPassed) {
  EXPECT_EQ(Plan({0, 1, 2, 7}, 7, 4).size(), 4u);
  EXPECT_EQ(MostTokenTiles(7, 3, 4), 4);
}

TEST(TokenTilesTest, OffsetsOfNoPlanStayWithinThePairs) {
  for (const Ints& offsets : {Ints{-5, 3, 900, 2, 10}, Ints{0, -1, -2, 1000, 1000}}) {
    for (const TokenTile& tile : Plan(offsets, 20, 4)) {
      if (tile.rows <= 0) continue;
      EXPECT_GE(tile.first, 0);
      EXPECT_LE(tile.first + tile.rows, 20);
    }
  }
}

TEST(GemmShapeTest, ChunksOfATileHaveEachTheirPlace) {
  std::set<int> places;
  for (int row = 0; row < 128; ++row) {
    for (int chunk = 0; chunk < 8; ++chunk) {
      const int at = SwizzledByte(row, chunk);
      EXPECT_EQ(at % 16, 0);
      EXPECT_EQ(at / 128, row);
      places.insert(at);
      EXPECT_EQ(ChunkFurther(SwizzledByte(row, chunk % 2), chunk / 2 * 2), at);
    }
  }
  EXPECT_EQ(places.size(), 128u * 8);
}

TEST(GemmShapeTest, ResultsOfAFragmentHaveEachTheirPlace) {
  std::set<std::pair<int, int>> places;
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    for (int i = 0; i < 4; ++i) places.insert({FragmentRow(lane, i), FragmentToken(lane, i)});
  }
  EXPECT_EQ(places.size(), 128u);
  EXPECT_EQ(*places.begin(), std::pair(0, 0));
  EXPECT_EQ(*places.rbegin(), std::pair(15, 7));
}

template <int kTokens>
void ExpectWarpsCoverTheTile() {
  using Shape = ExpertGemmShape<kTokens>;
  EXPECT_EQ(Shape::kWarpsDown * Shape::kWarpsAcross, Shape::kWarps);
  EXPECT_EQ(Shape::kWarpsDown * Shape::kFragmentsDown * 16, Shape::kWeightRows);
  EXPECT_EQ(Shape::kWarpsAcross * Shape::kFragmentsAcross * 8, kTokens);
}

TEST(GemmShapeTest, WarpsCoverTheTile) {
  ExpectWarpsCoverTheTile<8>();
  ExpectWarpsCoverTheTile<16>();
  ExpectWarpsCoverTheTile<32>();
  ExpectWarpsCoverTheTile<64>();
  ExpectWarpsCoverTheTile<128>();
}

TEST(GemvTest, UnitsTakeEachWeightRowOnce) {
  constexpr int64_t kRows = 96;
  std::set<int64_t> gate_up, down;
  for (int64_t unit = 0; unit < kRows / kGemvWeightRows; ++unit) {
    for (int r = 0; r < kGemvWeightRows; ++r) {
      gate_up.insert(GemvWeightRow<true>(unit, r));
      down.insert(GemvWeightRow<false>(unit, r));
    }
    // A unit's gates, and behind them the ups of the same outputs.
    for (int j = 0; j < 2; ++j) {
      EXPECT_EQ(GemvWeightRow<true>(unit, j), GateUpRow(2 * unit + j, false));
      EXPECT_EQ(GemvWeightRow<true>(unit, 2 + j), GateUpRow(2 * unit + j, true));
    }
  }
  EXPECT_EQ(gate_up.size(), static_cast<size_t>(kRows));
  EXPECT_EQ(*gate_up.rbegin(), kRows - 1);
  EXPECT_EQ(down, gate_up);
}

// Lane l of the warp holds all of value l / 2.
TEST(GemvTest, SumsOverLanesReachTheirLane) {
  std::vector<float> sums(kWarpLanes);
  RunSimt({1, kWarpLanes, 0, 5}, [&] {
    const int lane = Simt::Thread();
    float values[kGemvSums];
    for (int i = 0; i < kGemvSums; ++i) values[i] = static_cast<float>(1000 * i + lane);
    sums[static_cast<size_t>(lane)] = SumOverLanes<kGemvSums>(values, lane);
  });
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    EXPECT_EQ(sums[static_cast<size_t>(lane)], 32.0f * 1000 * (lane / 2) + 31 * 32 / 2) << lane;
  }
}

}  // namespace
}  // namespace penstock::kernels
