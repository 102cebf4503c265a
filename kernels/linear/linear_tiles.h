#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: the register tiles of `linear`.

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/device/unroll.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {
namespace {

constexpr int kVecsPerPanel = static_cast<int>(kPanelColumns) / Simd::kLanes;
constexpr int64_t kLineBytes = kPanelColumns * 4;

// What a tile needs, strides resolved.
struct TileArgs {
  const float* x;    // a source's steps of every line, 4 bytes each
  int64_t x_stride;  // of 4 bytes
  const char* panels;
  int64_t lines;        // of a panel
  int64_t group_lines;  // of a scale
  const float* scales;
  int64_t groups;
  const float* bias;
  const float* residual;
  float* y;
  int64_t y_stride;
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

template <int kRows, int kVecs>
struct Accumulators {
  Simd::V v[kRows][kVecs];

  [[gnu::always_inline]] void Clear() {
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) v[r][i] = Simd::Zero();
    }
  }
};

// One step of a line, into every accumulator.
template <int kStep, class Source, int kRows, int kVecs>
[[gnu::always_inline]] inline void RunStep(const Source& source, const Simd::W (&words)[kVecs],
                                           const float* x, int64_t stride,
                                           Accumulators<kRows, kVecs>& acc) {
  typename Source::B b[kVecs];
  PENSTOCK_UNROLL
  for (int i = 0; i < kVecs; ++i) b[i] = source.template Expand<kStep>(words[i]);
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int i = 0; i < kVecs; ++i) {
      acc.v[r][i] = Source::Dot(x + r * stride + kStep, b[i], acc.v[r][i]);
    }
  }
}

template <class Source, int kRows, int kVecs, int... kSteps>
[[gnu::always_inline]] inline void RunLine(const Source& source, const Simd::W (&words)[kVecs],
                                           const float* x, int64_t stride,
                                           Accumulators<kRows, kVecs>& acc,
                                           std::integer_sequence<int, kSteps...>) {
  (RunStep<kSteps>(source, words, x, stride, acc), ...);
}

// kRows x (kPanels * 16) outputs, accumulators in registers over all of k. Each output is one chain
// over the steps of all lines (a chain a group, where there are scales): the same in every tile
// shape, so a row's result does not depend on its neighbours. k is not blocked: panels stream from
// L2 fast enough.
template <class Source, int kRows, int kPanels>
[[gnu::noinline]] void Tile(const TileArgs& a, int64_t row, int64_t panel) {
  constexpr int kVecs = kPanels * kVecsPerPanel;
  // 512 bytes ahead: with few rows the tile runs at the speed of memory.
  constexpr int64_t kPrefetch = 512;
  const int64_t panel_bytes = a.lines * kLineBytes;
  const char* w = a.panels + panel * panel_bytes;
  const float* x = a.x + row * a.x_stride;
  const int64_t stride = a.x_stride;
  const Source source{};
  Accumulators<kRows, kVecs> acc;
  acc.Clear();
  const auto run = [&](int64_t lines, Accumulators<kRows, kVecs>& sums) __attribute__((
                       always_inline)) {
    for (int64_t line = 0; line < lines; ++line) {
      Simd::W words[kVecs];
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) {
        const char* at =
            w + (i / kVecsPerPanel) * panel_bytes + (i % kVecsPerPanel) * Simd::kLanes * 4;
        words[i] = Simd::LoadWords(at);
        if (kRows <= 6 && i % kVecsPerPanel == 0) _mm_prefetch(at + kPrefetch, _MM_HINT_T0);
      }
      RunLine(source, words, x, stride, sums, std::make_integer_sequence<int, Source::kSteps>());
      x += Source::kSteps;
      w += kLineBytes;
    }
  };
  if constexpr (!Source::kScaled) {
    run(a.lines, acc);
  } else {
    const float* scales = a.scales + panel * a.groups * kPanelColumns;
    for (int64_t g = 0; g < a.groups; ++g) {
      Accumulators<kRows, kVecs> sums;
      sums.Clear();
      run(a.group_lines, sums);
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) {
        const Simd::V scale =
            Simd::Load(scales + (i / kVecsPerPanel) * a.groups * kPanelColumns +
                       (i % kVecsPerPanel) * Simd::kLanes);
        PENSTOCK_UNROLL
        for (int r = 0; r < kRows; ++r) acc.v[r][i] = Simd::Fma(scale, sums.v[r][i], acc.v[r][i]);
      }
      scales += kPanelColumns;
    }
  }
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int i = 0; i < kVecs; ++i) {
      StoreColumns(a, row + r, panel * kPanelColumns + i * Simd::kLanes, acc.v[r][i]);
    }
  }
}

using TileFunction = void (*)(const TileArgs&, int64_t row, int64_t panel);

// Tiles of a source. tiles[w][rows] does 2^w panels; null where registers do not suffice. A row
// count's widest tile follows from the nulls.
template <int kWidths, int kMaxRows>
struct TileTable {
  TileFunction tiles[kWidths][kMaxRows + 1];
};

// How rows of x become what a source multiplies by: into `to`, `stride` apart.
using PrepareFunction = void (*)(const float* x, int64_t x_stride, int64_t rows, int64_t in,
                                 float* to, int64_t stride);

// Whole words of codes: zeros behind the row.
[[maybe_unused]] void PadRows(const float* x, int64_t x_stride, int64_t rows, int64_t in, float* to,
             int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    if (in > 0) {  // x may be null where there are no inputs
      std::memcpy(to + r * stride, x + r * x_stride, static_cast<size_t>(in) * sizeof(float));
    }
    std::memset(to + r * stride + in, 0, static_cast<size_t>(stride - in) * sizeof(float));
  }
}

// Rows exactly 4 KiB apart share one L1 set of 8 ways: more than 6 would evict each other.
[[gnu::always_inline]] inline int64_t MaxRows(int64_t x_stride, int64_t most) {
  return x_stride % 1024 == 0 && most > 6 ? 6 : most;
}

// `prepare` null: x as it is. prepared_stride: LinearXStride() in the source's 4 bytes.
template <int kWidths, int kMaxRows>
Status RunTiles(const LinearArgs& args, const TileTable<kWidths, kMaxRows>& table,
                PrepareFunction prepare = nullptr, int64_t prepared_stride = 0) {
  const Status status = CheckLinear(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  const LinearWeights& w = args.w;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : w.in;
  TileArgs a = {args.x,
                x_stride,
                static_cast<const char*>(w.panels),
                w.lines(),
                w.groups() > 0 ? (w.lines() + w.groups() - 1) / w.groups() : 0,
                w.scales,
                w.groups(),
                w.bias,
                args.residual,
                args.y,
                args.y_stride != 0 ? args.y_stride : w.out,
                w.out};
  float* prepared = nullptr;
  if (prepare != nullptr) {
    prepared = reinterpret_cast<float*>(WorkspaceStart(args.workspace));
    a.x = prepared;
    a.x_stride = prepared_stride;
  }
  const int64_t panels = LinearPanels(w.out);
  const int64_t blocks = (args.rows + LinearRowBlock(w.in) - 1) / LinearRowBlock(w.in);
  const int64_t block = (args.rows + blocks - 1) / blocks;
  const int64_t most = MaxRows(a.x_stride, kMaxRows);
  for (int64_t first = 0; first < args.rows; first += block) {
    const int64_t rows = args.rows - first < block ? args.rows - first : block;
    if (prepare != nullptr) {
      prepare(args.x + first * x_stride, x_stride, rows, w.in, prepared, prepared_stride);
    } else {
      a.x = args.x + first * x_stride;
    }
    a.y = args.y + first * a.y_stride;
    a.residual = args.residual != nullptr ? args.residual + first * a.y_stride : nullptr;
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
      int64_t row = 0;
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
