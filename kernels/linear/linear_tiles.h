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
  const float* x;    // rows; of sources that prepare them, tiles of interleaved rows
  int64_t x_stride;  // of 4 bytes, a row
  const char* panels;
  int64_t origin;       // the panel that `panels` begins with
  int64_t lines;        // of a panel
  int64_t group_lines;  // of a scale
  const float* scales;
  int64_t groups;      // of a panel
  int64_t run_groups;  // that the tile runs over
  const float* bias;
  const float* residual;
  float* y;
  int64_t y_stride;
  int64_t out;
  // What the tile asks memory for meanwhile: of each of its panels a line every `every` of its own.
  // `ahead` null: what it reads itself soon, and `next` at the end; else from `ahead` on.
  const char* ahead = nullptr;
  const char* next = nullptr;  // the panels that follow, or its own where none do
  int64_t ahead_bytes = 0;     // of a panel there
  int64_t every = 1;
  // Of runs over some of the inputs: the sums so far, a row after the other.
  float* sums = nullptr;
  bool begins = true, ends = true;
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
  [[gnu::always_inline]] void Load(const float* from) {
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) v[r][i] = Simd::Load(from + (r * kVecs + i) * Simd::kLanes);
    }
  }
  [[gnu::always_inline]] void Store(float* to) const {
    PENSTOCK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) Simd::Store(to + (r * kVecs + i) * Simd::kLanes, v[r][i]);
    }
  }
};

// One step of a line, into every accumulator. Rows that were prepared stand interleaved, the tile's
// inputs of one step side by side: one stream of x however many rows, and no address a row.
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
      const float* at = Source::kPrepared ? x + kStep * kRows + r : x + r * stride + kStep;
      acc.v[r][i] = Source::Dot(at, b[i], acc.v[r][i]);
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
// L2 fast enough. What is fetched how far ahead, 256 bytes into L1 or 8 KiB into L2, was found by
// trial: both too near and too far halve the speed at few rows.
template <class Source, int kRows, int kPanels>
[[gnu::noinline]] void Tile(const TileArgs& a, int64_t row, int64_t panel) {
  constexpr int kVecs = kPanels * kVecsPerPanel;
  const int64_t panel_bytes = a.lines * kLineBytes;
  const char* w = a.panels + (panel - a.origin) * panel_bytes;
  const float* x = a.x + row * a.x_stride;
  const int64_t stride = a.x_stride;
  constexpr bool kNear = !Source::kScaled && (kPanels == 4 || kVecs == 4);
  constexpr int64_t kDistance = kNear ? 256 : 8192;
  const bool own = a.ahead == nullptr;
  const char* ahead = !own ? a.ahead : kDistance < panel_bytes ? w + kDistance : a.next;
  const char* const turn = own ? w + panel_bytes : nullptr;
  int64_t until = 1;
  const Source source{};
  Accumulators<kRows, kVecs> acc;
  float* const sums_at = a.sums + row * kVecs * Simd::kLanes;
  if (!Source::kRuns || a.begins) {
    acc.Clear();
  } else {
    acc.Load(sums_at);
  }
  const auto run = [&](int64_t lines, Accumulators<kRows, kVecs>& sums) __attribute__((
                       always_inline)) {
    for (int64_t line = 0; line < lines; ++line) {
      if (--until == 0) {
        until = a.every;
        if (kNear && own) {
          PENSTOCK_UNROLL
          for (int i = 0; i < kPanels; ++i) _mm_prefetch(ahead + i * a.ahead_bytes, _MM_HINT_T0);
        } else {
          PENSTOCK_UNROLL
          for (int i = 0; i < kPanels; ++i) _mm_prefetch(ahead + i * a.ahead_bytes, _MM_HINT_T1);
        }
        ahead += kLineBytes;
        if (ahead == turn) ahead = a.next;
      }
      Simd::W words[kVecs];
      PENSTOCK_UNROLL
      for (int i = 0; i < kVecs; ++i) {
        const char* at =
            w + (i / kVecsPerPanel) * panel_bytes + (i % kVecsPerPanel) * Simd::kLanes * 4;
        words[i] = Simd::LoadWords(at);
      }
      RunLine(source, words, x, stride, sums, std::make_integer_sequence<int, Source::kSteps>());
      x += Source::kPrepared ? Source::kSteps * kRows : Source::kSteps;
      w += kLineBytes;
    }
  };
  if constexpr (!Source::kScaled) {
    run(a.lines, acc);
  } else {
    const float* scales = a.scales + panel * a.groups * kPanelColumns;
    for (int64_t g = 0; g < a.run_groups; ++g) {
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
  if (Source::kRuns && !a.ends) return acc.Store(sums_at);
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

// Four words of a row.
struct FloatWords {
  static constexpr int kInputs = 4;
  [[gnu::always_inline]] static __m128i Load(const float* x) {
    return _mm_castps_si128(_mm_loadu_ps(x));
  }
};

// Rows of x, all or as picked.
struct InputRows {
  const float* x;
  int64_t stride;
  const int32_t* picked;  // null: all

  [[gnu::always_inline]] const float* At(int64_t row) const {
    return x + (picked != nullptr ? picked[row] : row) * stride;
  }
  [[gnu::always_inline]] InputRows From(int64_t row) const {
    if (picked != nullptr) return {x, stride, picked + row};
    return {x + row * stride, stride, nullptr};
  }
};

// The first kRows rows at words k, k + 1, ... of a tile of `height` rows.
template <class Words, int kRows>
[[gnu::noinline]] void InterleaveRows(const InputRows& rows, int64_t in, int64_t words,
                                      int64_t height, float* to) {
  const float* x[kRows];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) x[r] = rows.At(r);
  for (int64_t k = 0; k < words; k += 4) {
    const int64_t left = in - k / 4 * Words::kInputs;
    __m128i w[4];
    PENSTOCK_UNROLL
    for (int r = 0; r < 4; ++r) {
      w[r] = _mm_setzero_si128();
      if (r >= kRows || left <= 0) continue;
      const float* from = x[r] + k / 4 * Words::kInputs;
      if (left >= Words::kInputs) {
        w[r] = Words::Load(from);
      } else {
        float rest[Words::kInputs] = {};
        std::memcpy(rest, from, static_cast<size_t>(left) * sizeof(float));
        w[r] = Words::Load(rest);
      }
    }
    const __m128i a = _mm_unpacklo_epi32(w[0], w[1]), b = _mm_unpacklo_epi32(w[2], w[3]);
    const __m128i c = _mm_unpackhi_epi32(w[0], w[1]), d = _mm_unpackhi_epi32(w[2], w[3]);
    const __m128i columns[4] = {_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b),
                                _mm_unpacklo_epi64(c, d), _mm_unpackhi_epi64(c, d)};
    PENSTOCK_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (k + i < words) std::memcpy(to + (k + i) * height, &columns[i], kRows * sizeof(float));
    }
  }
}

// How rows of x become what a source multiplies by: `words` of 4 bytes a row, zeros behind its
// inputs, the tile's rows side by side.
using PrepareFunction = void (*)(const InputRows& x, int64_t rows, int64_t in, float* to,
                                 int64_t words);

template <class Words>
[[maybe_unused]] void Interleave(const InputRows& x, int64_t rows, int64_t in, float* to,
                                 int64_t words) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    InterleaveRows<Words, 4>(x.From(r), in, words, rows, to + r);
  }
  const InputRows rest = x.From(r);
  if (rows - r == 3) InterleaveRows<Words, 3>(rest, in, words, rows, to + r);
  if (rows - r == 2) InterleaveRows<Words, 2>(rest, in, words, rows, to + r);
  if (rows - r == 1) InterleaveRows<Words, 1>(rest, in, words, rows, to + r);
}

}  // namespace
}  // namespace penstock::kernels
