#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: the register tiles of `linear`.

#include <cstdint>

#include "kernels/device/unroll.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {
namespace {

constexpr int kVecsPerPanel = static_cast<int>(kPanelColumns) / Simd::kLanes;

// What a tile needs, strides resolved.
struct TileArgs {
  const float* x;
  int64_t x_stride;
  const float* panels;
  const float* bias;
  const float* residual;
  float* y;
  int64_t y_stride;
  int64_t in;
  int64_t out;
};

// One register of output columns: + bias, + residual, store; the last may be partial.
[[gnu::always_inline]] inline void StoreColumns(const TileArgs& a, int64_t row, int64_t column,
                                                Simd::V acc) {
  const int64_t left = a.out - column;
  if (left <= 0) return;
  const int64_t at = row * a.y_stride + column;
  if (left >= Simd::kLanes) {
    if (a.bias != nullptr) acc = Simd::Add(acc, Simd::Load(a.bias + column));
    if (a.residual != nullptr) acc = Simd::Add(acc, Simd::Load(a.residual + at));
    Simd::Store(a.y + at, acc);
    return;
  }
  const Simd::V zero = Simd::Zero();
  if (a.bias != nullptr) acc = Simd::Add(acc, Simd::LoadPart(a.bias + column, left, zero));
  if (a.residual != nullptr) acc = Simd::Add(acc, Simd::LoadPart(a.residual + at, left, zero));
  Simd::StorePart(a.y + at, left, acc);
}

// kRows x (kPanels * 16) outputs, accumulators in registers over all of k. Each output is one chain
// of fused multiply-adds over k = 0, 1, ...: the same in every tile shape, so a row's result does
// not depend on its neighbours. k is not blocked: panels stream from L2 fast enough.
template <int kRows, int kPanels>
[[gnu::noinline]] void Tile(const TileArgs& a, int64_t row, int64_t panel) {
  constexpr int kVecs = kPanels * kVecsPerPanel;
  // 512 bytes ahead: with few rows the tile runs at the speed of memory.
  constexpr int64_t kPrefetch = 128;
  const int64_t panel_floats = a.in * kPanelColumns;
  const float* w = a.panels + panel * panel_floats;
  const float* x = a.x + row * a.x_stride;
  const int64_t stride = a.x_stride;
  Simd::V acc[kRows][kVecs];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Zero();
  }
  for (int64_t k = 0; k < a.in; ++k) {
    Simd::V b[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      const float* at = w + (v / kVecsPerPanel) * panel_floats + (v % kVecsPerPanel) * Simd::kLanes;
      b[v] = Simd::Load(at);
      if (kRows <= 2 && v % kVecsPerPanel == 0) {
        _mm_prefetch(reinterpret_cast<const char*>(at + kPrefetch), _MM_HINT_T0);
      }
    }
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Simd::V s = Simd::Set(x[r * stride + k]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Fma(s, b[v], acc[r][v]);
    }
    w += kPanelColumns;
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      StoreColumns(a, row + r, panel * kPanelColumns + v * Simd::kLanes, acc[r][v]);
    }
  }
}

using TileFunction = void (*)(const TileArgs&, int64_t row, int64_t panel);

// Tiles of an instruction set. tiles[w][rows] does 2^w panels; null where registers do not suffice.
// A row count's widest tile follows from the nulls.
template <int kWidths, int kMaxRows>
struct TileTable {
  TileFunction tiles[kWidths][kMaxRows + 1];
};

// Rows that stay in L2 while the panels pass by: 256 KiB of x, at least 48 for reuse of the panels.
[[gnu::always_inline]] inline int64_t RowBlock(int64_t in) {
  const int64_t rows = (int64_t{256} << 10) / (static_cast<int64_t>(sizeof(float)) * (in + 1));
  return rows < 48 ? 48 : rows;
}

// Rows exactly 4 KiB apart share one L1 set of 8 ways: more than 6 would evict each other.
[[gnu::always_inline]] inline int64_t MaxRows(int64_t x_stride, int64_t most) {
  return x_stride % 1024 == 0 && most > 6 ? 6 : most;
}

template <int kWidths, int kMaxRows>
Status RunTiles(const LinearArgs& args, const TileTable<kWidths, kMaxRows>& table) {
  const Status status = CheckLinear(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  const LinearWeights& w = args.w;
  const TileArgs a = {
      args.x, args.x_stride != 0 ? args.x_stride : w.in,  w.panels, w.bias, args.residual,
      args.y, args.y_stride != 0 ? args.y_stride : w.out, w.in,     w.out};
  const int64_t panels = LinearPanels(w.out);
  const int64_t blocks = (args.rows + RowBlock(w.in) - 1) / RowBlock(w.in);
  const int64_t block = (args.rows + blocks - 1) / blocks;
  const int64_t most = MaxRows(a.x_stride, kMaxRows);
  for (int64_t first = 0; first < args.rows; first += block) {
    const int64_t rows = args.rows - first < block ? args.rows - first : block;
    // Tiles of even height: 49 rows as 10, 10, 10, 10, 9 and not as 12, 12, 12, 12, 1.
    const int64_t tiles = (rows + most - 1) / most;
    const int64_t height = rows / tiles, taller = rows % tiles;
    const int64_t tallest = height + (taller > 0 ? 1 : 0);
    for (int64_t panel = 0; panel < panels;) {
      int width = kWidths - 1;
      while (width > 0 &&
             (table.tiles[width][tallest] == nullptr || (int64_t{1} << width) > panels - panel)) {
        --width;
      }
      int64_t row = first;
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t tile_rows = height + (t < taller ? 1 : 0);
        table.tiles[width][tile_rows](a, row, panel);
        row += tile_rows;
      }
      panel += int64_t{1} << width;
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
