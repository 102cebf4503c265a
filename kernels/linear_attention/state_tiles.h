#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: register tiles over a recurrent
// state. Every sum is one chain of fused multiply-adds in rising order, whatever the tile.

#include <cstdint>

#include "kernels/device/unroll.h"
#include "kernels/linear_attention/recurrent_state.h"

namespace penstock::kernels {
namespace {

constexpr int kStatePanelVecs = static_cast<int>(kPanelColumns) / Simd::kLanes;

// 6 x 16 outputs in 12 of AVX2's 16 registers, 8 x 32 in 16 of AVX-512's 32.
constexpr int kStateTileRows = Simd::kLanes == 8 ? 6 : 8;
constexpr int kStateTilePanels = Simd::kLanes == 8 ? 1 : 2;

// Token after token: 4 accumulators, as many chains as hide the latency of one.
constexpr int kRecurrentPanels = 4 / kStatePanelVecs;

// Panels of the next group of `columns` columns: a power of two, at most the form's.
[[gnu::always_inline]] inline int64_t StateGroup(int64_t columns, bool chunk) {
  int64_t panels = chunk ? kStateTilePanels : kRecurrentPanels;
  while (panels > LinearPanels(columns)) panels /= 2;
  return panels;
}

// acc[r] += sum_c x[r][c] panels[c], over kPanels panels that are `panel_floats` apart.
template <int kRows, int kPanels>
[[gnu::always_inline]] inline void AddProduct(const float* x, int64_t x_stride, int64_t depth,
                                              const float* panels, int64_t panel_floats,
                                              Simd::V (&acc)[kRows][kPanels * kStatePanelVecs]) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  for (int64_t c = 0; c < depth; ++c) {
    Simd::V b[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      b[v] = Simd::Load(panels + v / kStatePanelVecs * panel_floats +
                        v % kStatePanelVecs * Simd::kLanes);
    }
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Simd::V s = Simd::Set(x[r * x_stride + c]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Fma(s, b[v], acc[r][v]);
    }
    panels += kPanelColumns;
  }
}

// One block of tokens against a group of panels of one head's state.
struct StateBlock {
  int64_t key_dim;
  int64_t stride;       // of the rows below: PaddedKeyDim
  const float* q;       // [kStateChunk][stride], decayed from the block's start
  const float* k;       // [kStateChunk][stride], decayed to the block's end
  const float* decay;   // [stride], of the whole block
  const float* scores;  // [kStateChunk][kStateChunk], lower triangle
  int64_t tokens;       // of the block that exist
  float* state;         // the group's panels, each [key_dim][16]
  float* values;        // the group's panels, each [kStateChunk][16]
  float* y;             // the group's first column of the block's first token
  int64_t y_stride;
  int64_t columns;  // from y on; the last panel may be partial
};

// Register v of a row of `columns` outputs; the last may be partial or beyond them.
[[gnu::always_inline]] inline void StoreStateColumns(float* y, int64_t columns, int v,
                                                     Simd::V value) {
  const int64_t left = columns - v * Simd::kLanes;
  if (left >= Simd::kLanes) {
    Simd::Store(y + v * Simd::kLanes, value);
  } else if (left > 0) {
    Simd::StorePart(y + v * Simd::kLanes, left, value);
  }
}

// Rows `row`... of y = q S + tril(scores) values. The triangle is walked exactly: a token's NaN
// must not reach the tokens before it.
template <int kRows, int kPanels>
[[gnu::noinline]] void OutputTile(const StateBlock& b, int64_t row) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  constexpr int64_t kValuePanel = kStateChunk * kPanelColumns;
  Simd::V acc[kRows][kVecs];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Zero();
  }
  AddProduct<kRows, kPanels>(b.q + row * b.stride, b.stride, b.key_dim, b.state,
                             b.key_dim * kPanelColumns, acc);
  const float* scores = b.scores + row * kStateChunk;
  AddProduct<kRows, kPanels>(scores, kStateChunk, row, b.values, kValuePanel, acc);
  PENSTOCK_UNROLL
  for (int j = 0; j < kRows; ++j) {
    Simd::V value[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      value[v] = Simd::Load(b.values + v / kStatePanelVecs * kValuePanel +
                            (row + j) * kPanelColumns + v % kStatePanelVecs * Simd::kLanes);
    }
    PENSTOCK_UNROLL
    for (int r = j; r < kRows; ++r) {
      const Simd::V s = Simd::Set(scores[r * kStateChunk + row + j]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Fma(s, value[v], acc[r][v]);
    }
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float* y = b.y + (row + r) * b.y_stride;
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) StoreStateColumns(y, b.columns, v, acc[r][v]);
  }
}

// Channels c... of S = diag(decay) S + k^T values.
template <int kRows, int kPanels>
[[gnu::noinline]] void UpdateTile(const StateBlock& b, int64_t c) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  constexpr int64_t kValuePanel = kStateChunk * kPanelColumns;
  const int64_t panel_floats = b.key_dim * kPanelColumns;
  float* state = b.state + c * kPanelColumns;
  Simd::V acc[kRows][kVecs];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const Simd::V decay = Simd::Set(b.decay[c + r]);
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      const float* at = state + v / kStatePanelVecs * panel_floats + r * kPanelColumns +
                        v % kStatePanelVecs * Simd::kLanes;
      acc[r][v] = Simd::Mul(decay, Simd::Load(at));
    }
  }
  const float* values = b.values;
  const float* k = b.k + c;
  for (int64_t j = 0; j < b.tokens; ++j) {
    Simd::V value[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      value[v] = Simd::Load(values + v / kStatePanelVecs * kValuePanel +
                            v % kStatePanelVecs * Simd::kLanes);
    }
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Simd::V s = Simd::Set(k[r]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Fma(s, value[v], acc[r][v]);
    }
    values += kPanelColumns;
    k += b.stride;
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      float* at = state + v / kStatePanelVecs * panel_floats + r * kPanelColumns +
                  v % kStatePanelVecs * Simd::kLanes;
      Simd::Store(at, acc[r][v]);
    }
  }
}

// The last rows, fewer than a tile's.
template <int kRows, int kPanels>
void OutputRest(const StateBlock& b, int64_t row) {
  if constexpr (kRows > 0) {
    if (b.tokens - row == kRows) return OutputTile<kRows, kPanels>(b, row);
    OutputRest<kRows - 1, kPanels>(b, row);
  }
}

template <int kRows, int kPanels>
void UpdateRest(const StateBlock& b, int64_t c) {
  if constexpr (kRows > 0) {
    if (b.key_dim - c == kRows) return UpdateTile<kRows, kPanels>(b, c);
    UpdateRest<kRows - 1, kPanels>(b, c);
  }
}

template <int kPanels>
void OutputAndUpdate(const StateBlock& b) {
  int64_t row = 0;
  for (; row + kStateTileRows <= b.tokens; row += kStateTileRows) {
    OutputTile<kStateTileRows, kPanels>(b, row);
  }
  OutputRest<kStateTileRows - 1, kPanels>(b, row);
  int64_t c = 0;
  for (; c + kStateTileRows <= b.key_dim; c += kStateTileRows) {
    UpdateTile<kStateTileRows, kPanels>(b, c);
  }
  UpdateRest<kStateTileRows - 1, kPanels>(b, c);
}

// Rows of the next block into L2 while this one is worked on: a head's rows are too far apart for
// the hardware to see them coming. An address that no row has does no harm.
[[gnu::always_inline]] inline void PrefetchStateRow(const float* row) {
  _mm_prefetch(reinterpret_cast<const char*>(row), _MM_HINT_T1);
}

// `tokens` rows of v, 16 columns a panel, zeros beyond `columns`.
void PackStateValues(const float* v, int64_t v_stride, int64_t tokens, int64_t columns,
                     float* values) {
  const int64_t ahead = kStateChunk * v_stride;
  for (int64_t first = 0; first < columns; first += kPanelColumns) {
    const int64_t left = columns - first;
    for (int64_t t = 0; t < tokens; ++t) {
      const float* at = v + t * v_stride + first;
      float* to = values + t * kPanelColumns;
      PrefetchStateRow(at + ahead);
      if (left >= kPanelColumns) {
        for (int i = 0; i < kPanelColumns; i += Simd::kLanes) {
          Simd::Store(to + i, Simd::Load(at + i));
        }
      } else {
        for (int64_t i = 0; i < kPanelColumns; ++i) to[i] = i < left ? at[i] : 0;
      }
    }
    values += kStateChunk * kPanelColumns;
  }
}

// `tokens` rows of x as the first of `count` rows `stride` apart, times `scale`; the rest zeros.
void CopyStateRows(const float* x, int64_t x_stride, int64_t tokens, int64_t dim, float scale,
                   float* rows, int64_t stride, int64_t count) {
  const Simd::V factor = Simd::Set(scale), zero = Simd::Zero();
  for (int64_t t = 0; t < count; ++t) {
    const float* at = x + t * x_stride;
    float* to = rows + t * stride;
    int64_t i = 0;
    if (t < tokens) {
      for (; i + Simd::kLanes <= dim; i += Simd::kLanes) {
        PrefetchStateRow(at + i + kStateChunk * x_stride);
        Simd::Store(to + i, Simd::Mul(factor, Simd::Load(at + i)));
      }
      if (i < dim) {
        Simd::Store(to + i, Simd::Mul(factor, Simd::LoadPart(at + i, dim - i, zero)));
        i += Simd::kLanes;
      }
    }
    for (; i < stride; i += Simd::kLanes) Simd::Store(to + i, zero);
  }
}

// out[r][j] = q[r] . k[j] of 8 x 8 rows, in tiles of 4 x 2 chains.
[[maybe_unused]] void Dots8x8(const float* q, const float* k, int64_t stride, float* out,
                              int64_t out_stride) {
  for (int64_t row = 0; row < 8; row += 4) {
    for (int64_t column = 0; column < 8; column += 2) {
      const float* x = q + row * stride;
      const float* z = k + column * stride;
      Simd::V acc[4][2];
      PENSTOCK_UNROLL
      for (int r = 0; r < 4; ++r) acc[r][0] = acc[r][1] = Simd::Zero();
      for (int64_t c = 0; c < stride; c += Simd::kLanes) {
        const Simd::V left = Simd::Load(z + c), right = Simd::Load(z + stride + c);
        PENSTOCK_UNROLL
        for (int r = 0; r < 4; ++r) {
          const Simd::V s = Simd::Load(x + r * stride + c);
          acc[r][0] = Simd::Fma(s, left, acc[r][0]);
          acc[r][1] = Simd::Fma(s, right, acc[r][1]);
        }
      }
      PENSTOCK_UNROLL
      for (int r = 0; r < 4; ++r) {
        out[(row + r) * out_stride + column] = Simd::ReduceAdd(acc[r][0]);
        out[(row + r) * out_stride + column + 1] = Simd::ReduceAdd(acc[r][1]);
      }
    }
  }
}

}  // namespace
}  // namespace penstock::kernels
