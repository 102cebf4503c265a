#pragma once

// For SIMD files: the register tiles of `linear` over all rows and panels, reading packed panels or
// what runs of their lines expand to.

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_tiles.h"

namespace penstock::kernels {
namespace {

// Rows exactly 4 KiB apart share one L1 set of 8 ways: more than 6 would evict each other.
[[gnu::always_inline]] inline int64_t MaxRows(int64_t x_stride, int64_t most) {
  return x_stride % 1024 == 0 && most > 6 ? 6 : most;
}

// What a source's lines expand to, in memory: a vector an input (a pair of them, for sources that
// multiply pairs). Rows meet them exactly as they meet the source itself.
template <class Source>
struct Expanded : Source::Product {
  using B = typename Source::B;
  static constexpr int kSteps = 1;
  static constexpr bool kScaled = Source::kScaled;
  static constexpr bool kRuns = true;
  template <int kStep>
  [[gnu::always_inline]] B Expand(Simd::W words) const {
    return (B)words;
  }
};

using ExpandFunction = void (*)(const char* lines, int64_t count, char* to);

template <class Source, int... kSteps>
[[gnu::always_inline]] inline void ExpandLine(const Source& source, const char* line, char* to,
                                              std::integer_sequence<int, kSteps...>) {
  PENSTOCK_UNROLL
  for (int i = 0; i < kVecsPerPanel; ++i) {
    const Simd::W words = Simd::LoadWords(line + i * Simd::kLanes * 4);
    const typename Source::B expanded[] = {source.template Expand<kSteps>(words)...};
    (std::memcpy(to + kSteps * kLineBytes + i * Simd::kLanes * 4, &expanded[kSteps],
                 Simd::kLanes * 4),
     ...);
  }
}

template <class Source>
[[maybe_unused, gnu::noinline]] void ExpandLines(const char* lines, int64_t count, char* to) {
  const Source source{};
  for (int64_t line = 0; line < count; ++line) {
    ExpandLine(source, lines, to, std::make_integer_sequence<int, Source::kSteps>());
    lines += kLineBytes;
    to += Source::kSteps * kLineBytes;
  }
}

// How a format's products run.
template <int kWidths, int kMaxRows>
struct TileForm {
  const TileTable<kWidths, kMaxRows>& table;
  PrepareFunction prepare = nullptr;  // null: x as it is
  int64_t words = 0;                  // of 4 bytes that a prepared row takes
  ExpandFunction expand = nullptr;    // null: tiles read the packed panels themselves
  int64_t steps = 1;                  // lines that one becomes
  int64_t from_rows = 0;              // where that is worth it
};
// Clang deduces an aggregate's arguments by itself only from 17 on.
template <int kWidths, int kMaxRows, class... Rest>
TileForm(const TileTable<kWidths, kMaxRows>&, Rest...) -> TileForm<kWidths, kMaxRows>;

// A block of rows, in tiles of even height: 49 rows as 10, 10, 10, 10, 9 and not as 12, 12, 12, 12,
// 1.
struct RowTiles {
  int64_t count, height, taller;

  [[gnu::always_inline]] RowTiles(int64_t rows, int64_t most)
      : count((rows + most - 1) / most), height(rows / count), taller(rows % count) {}
  [[gnu::always_inline]] int64_t Height(int64_t tile) const {
    return height + (tile < taller ? 1 : 0);
  }
};

// One tile fetches what it reads itself, and so does the first of all, which finds nothing fetched;
// several share the panels that follow, 2^width of them.
[[gnu::always_inline]] inline void LookAhead(int64_t panel, int width, int64_t panels, int64_t tile,
                                             int64_t tiles, TileArgs& a) {
  a.ahead_bytes = a.lines * kLineBytes;
  const char* here = a.panels + panel * a.ahead_bytes;
  a.next = panel + (int64_t{1} << width) < panels ? here + (a.ahead_bytes << width) : here;
  const bool own = tiles == 1 || (panel == 0 && tile == 0);
  a.ahead = own ? nullptr : a.next + tile * (a.lines / tiles) * kLineBytes;
  a.every = own ? 1 : tiles;
}

// Panels of the widest tile that a row count has, at most `most` of them.
template <int kWidths, int kMaxRows>
[[gnu::always_inline]] inline int WidestTile(const TileTable<kWidths, kMaxRows>& table,
                                             int64_t rows, int64_t most) {
  int width = kWidths - 1;
  while (width > 0 && (table.tiles[width][rows] == nullptr || (int64_t{1} << width) > most)) {
    --width;
  }
  return width;
}

template <int kWidths, int kMaxRows>
void PrepareRows(const TileForm<kWidths, kMaxRows>& form, const RowTiles& tiles, const InputRows& x,
                 int64_t in, float* to) {
  int64_t row = 0;
  for (int64_t t = 0; t < tiles.count; ++t) {
    form.prepare(x.From(row), tiles.Height(t), in, to + row * form.words, form.words);
    row += tiles.Height(t);
  }
}

// Tiles that read the packed panels.
template <int kWidths, int kMaxRows>
void RunBlock(const TileForm<kWidths, kMaxRows>& form, const RowTiles& tiles, TileArgs a) {
  const int64_t panels = LinearPanels(a.out);
  for (int64_t panel = 0; panel < panels;) {
    const int width = WidestTile(form.table, tiles.Height(0), panels - panel);
    int64_t row = 0;
    for (int64_t t = 0; t < tiles.count; ++t) {
      LookAhead(panel, width, panels, t, tiles.count, a);
      form.table.tiles[width][tiles.Height(t)](a, row, panel);
      row += tiles.Height(t);
    }
    panel += int64_t{1} << width;
  }
}

// Tiles that read what the panels' lines expand to, run by run of their inputs; each fetches its
// part of the same lines of the panels that follow.
template <int kWidths, int kMaxRows>
void RunExpanded(const TileForm<kWidths, kMaxRows>& form, const RowTiles& tiles, int64_t unit_lines,
                 char* expanded, const TileArgs& packed) {
  TileArgs a = packed;
  const int64_t panels = LinearPanels(a.out), panel_bytes = packed.lines * kLineBytes;
  a.sums = reinterpret_cast<float*>(expanded + kExpandedBytes);
  a.panels = expanded;
  a.ahead_bytes = panel_bytes;
  a.every = tiles.count * form.steps;
  const int64_t unit_bytes = unit_lines * form.steps * kLineBytes;
  const int64_t most = kExpandedBytes / unit_bytes;
  for (int64_t panel = 0; panel < panels;) {
    const int width =
        WidestTile(form.table, tiles.Height(0), most < panels - panel ? most : panels - panel);
    const int64_t wide = int64_t{1} << width, run = most / wide * unit_lines;
    a.origin = panel;
    for (int64_t line = 0; line < packed.lines; line += run) {
      const int64_t lines = packed.lines - line < run ? packed.lines - line : run;
      const char* from = packed.panels + panel * panel_bytes + line * kLineBytes;
      a.lines = lines * form.steps;
      for (int64_t i = 0; i < wide; ++i) {
        form.expand(from + i * panel_bytes, lines, expanded + i * a.lines * kLineBytes);
      }
      if (packed.groups > 0) {
        a.group_lines = packed.group_lines * form.steps;
        a.run_groups = lines / packed.group_lines;
        a.scales = packed.scales + line / packed.group_lines * kPanelColumns;
      }
      a.begins = line == 0;
      a.ends = line + lines == packed.lines;
      const char* const next = panel + wide < panels ? from + wide * panel_bytes : from;
      int64_t row = 0;
      for (int64_t t = 0; t < tiles.count; ++t) {
        a.x = packed.x + line * form.steps * tiles.Height(t);
        a.ahead = next + t * (lines / tiles.count) * kLineBytes;
        form.table.tiles[width][tiles.Height(t)](a, row, panel);
        row += tiles.Height(t);
      }
    }
    panel += wide;
  }
}

// `many`: the form for blocks of rows that are worth it, or the same.
template <int kWidths, int kMaxRows, int kManyWidths, int kManyRows>
Status RunTiles(const LinearArgs& args, const TileForm<kWidths, kMaxRows>& few,
                const TileForm<kManyWidths, kManyRows>& many) {
  const Status status = CheckLinear(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  const LinearWeights& w = args.w;
  const int64_t x_stride = args.x_stride != 0 ? args.x_stride : w.in;
  TileArgs a = {args.x,
                x_stride,
                static_cast<const char*>(w.panels),
                0,
                w.lines(),
                w.groups() > 0 ? (w.lines() + w.groups() - 1) / w.groups() : 0,
                w.scales,
                w.groups(),
                w.groups(),
                w.bias,
                args.residual,
                args.y,
                args.y_stride != 0 ? args.y_stride : w.out,
                w.out};
  const int64_t most = LinearBlock(w, args.rows);
  const int64_t blocks = (args.rows + most - 1) / most;
  const int64_t block = (args.rows + blocks - 1) / blocks;
  char* at = few.prepare != nullptr ? WorkspaceStart(args.workspace) : nullptr;
  float* prepared = nullptr;
  if (few.prepare != nullptr) {
    prepared = TakeFloats(&at, block * few.words);
    a.x = prepared;
    a.x_stride = few.words;
  }
  const bool expands = LinearExpands(w, args.rows);
  for (int64_t first = 0; first < args.rows; first += block) {
    const int64_t rows = args.rows - first < block ? args.rows - first : block;
    a.y = args.y + first * a.y_stride;
    a.residual = args.residual != nullptr ? args.residual + first * a.y_stride : nullptr;
    const InputRows x = InputRows{args.x, x_stride, args.x_rows}.From(first);
    if (expands && rows >= many.from_rows && many.expand != nullptr) {
      const RowTiles tiles(rows, kManyRows);
      PrepareRows(many, tiles, x, w.in, prepared);
      RunExpanded(many, tiles, LinearUnit(w) / CodesPerWord(w.format), at, a);
      continue;
    }
    const RowTiles tiles(rows, prepared != nullptr ? kMaxRows : MaxRows(x_stride, kMaxRows));
    if (prepared != nullptr) {
      PrepareRows(few, tiles, x, w.in, prepared);
    } else {
      a.x = x.x;
    }
    RunBlock(few, tiles, a);
  }
  return status;
}

// The table of a source: two sets of accumulators where there are scales, of which one may wait in
// memory where lines are many.
template <template <class> class Tables, class Source>
constexpr const auto& TableOf() {
  if constexpr (Source::kScaled && !Source::kRuns) {
    return Tables<Source>::kScaled;
  } else {
    return Tables<Source>::kPlain;
  }
}

// A source whose rows are prepared as Words, words of 4 bytes a row.
template <template <class> class Tables, class Source, class Words>
Status RunPacked(const LinearArgs& args, int64_t words) {
  const TileForm few = {TableOf<Tables, Source>(), Interleave<Words>, words};
  if constexpr (Source::kSteps == 1) {
    return RunTiles(args, few, few);
  } else {
    // A tile as tall as AVX-512's makes little of expanding what has no scales by itself.
    constexpr int64_t kFrom = !Source::kScaled && Simd::kLanes == 16 ? 48 : kExpandRows;
    return RunTiles(args, few,
                    TileForm{TableOf<Tables, Expanded<Source>>(), Interleave<Words>, words,
                             ExpandLines<Source>, Source::kSteps, kFrom});
  }
}

}  // namespace
}  // namespace penstock::kernels
