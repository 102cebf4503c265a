#pragma once

#include "kernels/moe_ffn/cuda/expert_product.h"

namespace penstock::kernels {

// The product for tiles of at most kGemvTokens rows, bound by the stream of weights: a warp reads
// four rows of weights once, its lanes 16 bytes of each a step, and multiplies in float32. Warps
// share nothing, so hundreds of loads are under way on a multiprocessor. A row's bits do not depend
// on the other rows; they are not those of ExpertGemm, which sums in another order.
inline constexpr int kGemvThreads = 256;
inline constexpr int kGemvTokens = 4;
inline constexpr int kGemvWeightRows = 4;
inline constexpr int kGemvSums = kGemvTokens * kGemvWeightRows;
// Of the lanes one after another: 256 inputs of a row a step.
inline constexpr int kGemvStep = kWarpLanes * 8;

// The rows of weights of a unit: of gate_up two gates and the ups that go with them.
template <bool kGateUp>
PENSTOCK_HOST_AND_SIMT constexpr int64_t GemvWeightRow(int64_t unit, int r) {
  if (kGateUp) return unit / 4 * 16 + unit % 4 * 2 + r % 2 + r / 2 * 8;
  return unit * kGemvWeightRows + r;
}

// Eight inputs, 0 where they are not of the row.
PENSTOCK_SIMT Words4 LoadInputs(const uint16_t* row, int64_t column, int64_t width) {
  Words4 v = {};
  if (row == nullptr) return v;
  if (column + 8 <= width) return *reinterpret_cast<const Words4*>(row + column);
  PENSTOCK_SIMT_UNROLL
  for (int i = 0; i < 8; ++i) {
    if (column + i < width) v.w[i / 2] |= static_cast<uint32_t>(row[column + i]) << (i % 2 * 16);
  }
  return v;
}

// Sums over the lanes of the warp: lane l returns the whole of sums[l / 2]. A lane holds half as
// many values after each step, so 16 values cost 16 shuffles, not 80.
template <int kCount>
PENSTOCK_SIMT float SumOverLanes(float (&sums)[kGemvSums], int lane) {
  if constexpr (kCount == 1) {
    return sums[0] + Simt::ShuffleXor(sums[0], 1);
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = (lane & kCount) != 0;
    PENSTOCK_SIMT_UNROLL
    for (int i = 0; i < kHalf; ++i) {
      const float give = upper ? sums[i] : sums[i + kHalf];
      const float keep = upper ? sums[i + kHalf] : sums[i];
      sums[i] = keep + Simt::ShuffleXor(give, kCount);
    }
    return SumOverLanes<kHalf>(sums, lane);
  }
}

// By blocks of kGemvThreads without shared memory, any number of them. Items are tiles times units
// of four weight rows, one a warp.
template <bool kGateUp>
PENSTOCK_SIMT void ExpertGemv(const ExpertProduct& p) {
  const int lane = Simt::Thread() % kWarpLanes, warps = Simt::Threads() / kWarpLanes;
  const int64_t units = (p.w_rows + kGemvWeightRows - 1) / kGemvWeightRows;
  const int64_t items = *p.tile_count * units;
  for (int64_t item = Simt::Block() * warps + Simt::Thread() / kWarpLanes; item < items;
       item += Simt::Blocks() * warps) {
    const TokenTile tile = p.tiles[item / units];
    const int64_t unit = item % units;
    const uint16_t* weights[kGemvWeightRows];
    PENSTOCK_SIMT_UNROLL
    for (int r = 0; r < kGemvWeightRows; ++r) {
      const int64_t row = GemvWeightRow<kGateUp>(unit, r);
      weights[r] = p.w + (tile.expert * p.w_rows + (row < p.w_rows ? row : 0)) * p.w_stride;
    }
    const uint16_t* inputs[kGemvTokens];
    PENSTOCK_SIMT_UNROLL
    for (int m = 0; m < kGemvTokens; ++m) {
      const int64_t row = m < tile.rows ? InputRow<kGateUp>(p, tile.first + m) : -1;
      inputs[m] = row < 0 ? nullptr : p.x + row * p.x_stride;
    }

    float sums[kGemvSums] = {};  // [weight row][token]
    for (int64_t column = lane * 8; column < p.w_stride; column += kGemvStep) {
      Words4 w[kGemvWeightRows];
      PENSTOCK_SIMT_UNROLL
      for (int r = 0; r < kGemvWeightRows; ++r) w[r] = Simt::LoadOnce(weights[r] + column);
      PENSTOCK_SIMT_UNROLL
      for (int m = 0; m < kGemvTokens; ++m) {
        if (m >= tile.rows) break;
        const Words4 x = LoadInputs(inputs[m], column, p.x_width);
        PENSTOCK_SIMT_UNROLL
        for (int r = 0; r < kGemvWeightRows; ++r) {
          float& sum = sums[r * kGemvTokens + m];
          PENSTOCK_SIMT_UNROLL
          for (int i = 0; i < 4; ++i) {
            sum = fmaf(LowBf16(x.w[i]), LowBf16(w[r].w[i]), sum);
            sum = fmaf(HighBf16(x.w[i]), HighBf16(w[r].w[i]), sum);
          }
        }
      }
    }

    const float sum = SumOverLanes<kGemvSums>(sums, lane);
    const int r = lane / 2 / kGemvTokens, m = lane / 2 % kGemvTokens;
    const int64_t row = GemvWeightRow<kGateUp>(unit, r);
    const float biased = row < p.w_rows ? Simt::Sum(sum, p.bias[tile.expert * p.w_rows + row]) : 0;
    const int64_t pair = m < tile.rows ? PairOf(p, tile.first + m) : -1;
    if constexpr (kGateUp) {
      const float up = Simt::ShuffleXor(biased, 16);  // lanes 16 and above hold the ups
      const int64_t column = unit * 2 + r;
      if (r < 2 && lane % 2 == 0 && pair >= 0) {
        const float gated = Gated(static_cast<Activation>(p.activations[tile.expert]), biased, up);
        p.h[(tile.first + m) * p.y_stride + column] =
            static_cast<uint16_t>(Simt::PackBf16(gated, 0));
      }
    } else if (lane % 2 == 0 && pair >= 0 && row < p.w_rows) {
      p.y[pair * p.y_stride + row] = Simt::Product(p.weights[pair], biased);
    }
  }
}

}  // namespace penstock::kernels
