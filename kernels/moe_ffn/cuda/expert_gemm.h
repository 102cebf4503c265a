#pragma once

#include "kernels/moe_ffn/cuda/expert_product.h"
#include "kernels/moe_ffn/cuda/gemm_shape.h"

namespace penstock::kernels {

// The tensor-core product of expert_gemm's tiles, by mma.sync of sm_80, copies by cp.async.
template <int kTokens>
using ExpertSums =
    float[ExpertGemmShape<kTokens>::kFragmentsDown][ExpertGemmShape<kTokens>::kFragmentsAcross][4];

// What a thread copies of each stage: chunk `chunk` of weight rows line, line + 32, ... and of
// tokens line, line + 32, ...
template <int kTokens, bool kGateUp>
struct ExpertStages {
  using Shape = ExpertGemmShape<kTokens>;
  static constexpr int kLines = Shape::kThreads / Shape::kChunks;
  static constexpr int kTokenLines = kTokens > kLines ? kTokens / kLines : 1;
  static constexpr uint32_t kNone = 0xFFFFFFFF;

  const ExpertProduct* p;
  const uint16_t* weights;       // of row `line`
  int weight_rows;               // that exist from `line` on
  uint32_t tokens[kTokenLines];  // of rows `line`, ...: where in x, in units of 16 bytes, or kNone
  int line;
  int chunk;

  PENSTOCK_SIMT ExpertStages(const ExpertProduct& product, const TokenTile& tile, int row0)
      : p(&product), line(Simt::Thread() / Shape::kChunks), chunk(Simt::Thread() % Shape::kChunks) {
    weights = p->w + (tile.expert * p->w_rows + row0) * p->w_stride;
    const int64_t left = p->w_rows - row0 - line;
    weight_rows = left < Shape::kWeightRows ? static_cast<int>(left) : Shape::kWeightRows;
    for (int i = 0; i < kTokenLines; ++i) {
      const int n = line + i * kLines;
      const int64_t row = n < tile.rows ? InputRow<kGateUp>(*p, tile.first + n) : -1;
      tokens[i] = row < 0 ? kNone : static_cast<uint32_t>(row * p->x_stride / 8);
    }
  }

  // The bytes of a chunk that exist in a row of so many inputs.
  PENSTOCK_SIMT static int BytesLeft(int64_t width, int column) {
    const int inputs = static_cast<int>(width) - column;
    return inputs < 0 ? 0 : inputs < 8 ? inputs * 2 : 16;
  }

  PENSTOCK_SIMT void Copy(int step, int stage) const {
    const int column = step * Shape::kDepth + chunk * 8;
    const int weight_bytes = BytesLeft(p->w_stride, column);
    const int stride = static_cast<int>(p->w_stride);
    PENSTOCK_SIMT_UNROLL
    for (int i = 0; i < Shape::kWeightRows / kLines; ++i) {
      const int bytes = i * kLines < weight_rows ? weight_bytes : 0;
      Simt::CopyAsync16(stage + SwizzledByte(line + i * kLines, chunk),
                        bytes > 0 ? weights + ((line + i * kLines) * stride + column) : p->w,
                        bytes);
    }
    const int token_bytes = BytesLeft(p->x_width, column);
    PENSTOCK_SIMT_UNROLL
    for (int i = 0; i < kTokenLines; ++i) {
      if (kTokens < kLines && line >= kTokens) break;
      const int bytes = tokens[i] != kNone ? token_bytes : 0;
      Simt::CopyAsync16(stage + Shape::kWeightBytes + SwizzledByte(line + i * kLines, chunk),
                        bytes > 0 ? p->x + int64_t{tokens[i]} * 8 + column : p->x, bytes);
    }
  }
};

// The warp's part of a stage: a fragment of 16 inputs at a time.
template <int kTokens>
PENSTOCK_SIMT void MultiplyStage(int stage, int row0, int token0, ExpertSums<kTokens>& sums) {
  using Shape = ExpertGemmShape<kTokens>;
  const int lane = Simt::Thread() % kWarpLanes;
  const int token = token0 + lane / 16 * 8 + lane % 8;  // of two fragments; 16 lanes serve one
  const int tokens =
      stage + Shape::kWeightBytes +
      SwizzledByte(Shape::kFragmentsAcross == 1 ? token0 + lane % 8 : token, lane / 8 % 2);
  const int weights = stage + SwizzledByte(row0 + lane % 16, lane / 16);
  PENSTOCK_SIMT_UNROLL
  for (int chunk = 0; chunk < Shape::kChunks; chunk += 2) {
    uint32_t b[Shape::kFragmentsAcross][2];
    if constexpr (Shape::kFragmentsAcross == 1) {
      Simt::LoadMatrix2(b[0], ChunkFurther(tokens, chunk));
    } else {
      PENSTOCK_SIMT_UNROLL
      for (int j = 0; j < Shape::kFragmentsAcross; j += 2) {
        uint32_t two[4];
        Simt::LoadMatrix4(two, ChunkFurther(tokens, chunk) + 8 * j * kRowBytes);
        b[j][0] = two[0];
        b[j][1] = two[1];
        b[j + 1][0] = two[2];
        b[j + 1][1] = two[3];
      }
    }
    PENSTOCK_SIMT_UNROLL
    for (int i = 0; i < Shape::kFragmentsDown; ++i) {
      uint32_t a[4];
      Simt::LoadMatrix4(a, ChunkFurther(weights, chunk) + 16 * i * kRowBytes);
      PENSTOCK_SIMT_UNROLL
      for (int j = 0; j < Shape::kFragmentsAcross; ++j) Simt::Multiply(sums[i][j], a, b[j]);
    }
  }
}

// act(gate) * up of the tile, from sums [token][weight row]: lanes take two outputs each, a warp
// the 64 of a token.
PENSTOCK_SIMT void StoreGated(const ExpertProduct& p, const TokenTile& tile, int row0,
                              const float* sums, int pitch) {
  const auto activation = static_cast<Activation>(p.activations[tile.expert]);
  const float* bias = p.bias + tile.expert * p.w_rows;
  for (int i = Simt::Thread(); i < tile.rows * kWarpLanes; i += Simt::Threads()) {
    const int n = i / kWarpLanes, j = i % kWarpLanes * 2;
    const int gate = j / 8 * 16 + j % 8, up = gate + 8;
    const int64_t column = row0 / 2 + j;
    if (column >= p.y_stride || PairOf(p, tile.first + n) < 0) continue;
    const float* s = sums + n * pitch;
    const float* b = bias + row0;
    const float first = Gated(activation, s[gate] + b[gate], s[up] + b[up]);
    const float second = Gated(activation, s[gate + 1] + b[gate + 1], s[up + 1] + b[up + 1]);
    *reinterpret_cast<uint32_t*>(p.h + (tile.first + n) * p.y_stride + column) =
        Simt::PackBf16(first, second);
  }
}

// Weighted rows of the tile: lanes take four outputs each, a warp the 128 of a token.
PENSTOCK_SIMT void StoreWeighted(const ExpertProduct& p, const TokenTile& tile, int row0,
                                 const float* sums, int pitch) {
  const float* bias = p.bias + tile.expert * p.w_rows;
  for (int i = Simt::Thread(); i < tile.rows * kWarpLanes; i += Simt::Threads()) {
    const int n = i / kWarpLanes, j = i % kWarpLanes * 4;
    const int64_t pair = PairOf(p, tile.first + n);
    if (row0 + j >= p.y_stride || pair < 0) continue;
    const float weight = p.weights[pair];
    struct alignas(16) {
      float v[4];
    } four;
    PENSTOCK_SIMT_UNROLL
    for (int c = 0; c < 4; ++c) {
      const float b = row0 + j + c < p.w_rows ? bias[row0 + j + c] : 0.0f;
      four.v[c] = Simt::Product(weight, Simt::Sum(sums[n * pitch + j + c], b));
    }
    *reinterpret_cast<decltype(four)*>(p.y + pair * p.y_stride + row0 + j) = four;
  }
}

// By blocks of kThreads with kSharedBytes, any number of them: items are tiles times row blocks,
// all row blocks of a tile adjacent, so that the tile's rows stay in L2 while the weights pass by.
template <int kTokens, bool kGateUp>
PENSTOCK_SIMT void ExpertGemm(const ExpertProduct& p) {
  using Shape = ExpertGemmShape<kTokens>;
  const int lane = Simt::Thread() % kWarpLanes, warp = Simt::Thread() / kWarpLanes;
  const int warp_row = warp % Shape::kWarpsDown * Shape::kWarpRows;
  const int warp_token = warp / Shape::kWarpsDown * Shape::kWarpTokens;
  const int row_blocks = static_cast<int>((p.w_rows + Shape::kWeightRows - 1) / Shape::kWeightRows);
  const int steps = static_cast<int>((p.w_stride + Shape::kDepth - 1) / Shape::kDepth);
  const int items = *p.tile_count * row_blocks;
  for (int item = static_cast<int>(Simt::Block()); item < items;
       item += static_cast<int>(Simt::Blocks())) {
    const int row0 = item % row_blocks * Shape::kWeightRows;
    const ExpertStages<kTokens, kGateUp> stages(p, p.tiles[item / row_blocks], row0);
    ExpertSums<kTokens> sums = {};

    // Always kStages - 1 groups of copies ahead, the last ones empty.
    for (int step = 0; step < Shape::kStages - 1; ++step) {
      if (step < steps) stages.Copy(step, step * Shape::kStageBytes);
      Simt::CopyCommit();
    }
    for (int step = 0; step < steps; ++step) {
      Simt::CopyWait<Shape::kStages - 2>();
      Simt::Sync();  // this stage has come for all, and the last one is free
      const int next = step + Shape::kStages - 1;
      if (next < steps) stages.Copy(next, next % Shape::kStages * Shape::kStageBytes);
      Simt::CopyCommit();
      MultiplyStage<kTokens>(step % Shape::kStages * Shape::kStageBytes, warp_row, warp_token,
                             sums);
    }

    Simt::CopyWait<0>();
    Simt::Sync();
    auto* by_token = reinterpret_cast<float*>(Simt::Shared());
    PENSTOCK_SIMT_UNROLL
    for (int i = 0; i < Shape::kFragmentsDown; ++i) {
      PENSTOCK_SIMT_UNROLL
      for (int j = 0; j < Shape::kFragmentsAcross; ++j) {
        PENSTOCK_SIMT_UNROLL
        for (int r = 0; r < 4; ++r) {
          by_token[(warp_token + 8 * j + FragmentToken(lane, r)) * Shape::kPitch + warp_row +
                   16 * i + FragmentRow(lane, r)] = sums[i][j][r];
        }
      }
    }
    Simt::Sync();
    // The tile is read once more: kept, it would cost the sums three registers.
    const TokenTile again = p.tiles[item / row_blocks];
    if constexpr (kGateUp) {
      StoreGated(p, again, row0, by_token, Shape::kPitch);
    } else {
      StoreWeighted(p, again, row0, by_token, Shape::kPitch);
    }
    Simt::Sync();  // the next item's copies write over it
  }
}

}  // namespace penstock::kernels
