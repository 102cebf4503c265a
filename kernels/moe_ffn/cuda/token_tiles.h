#pragma once

#include "kernels/device/simt.h"

namespace penstock::kernels {

// Grouped rows [first, first + rows) of one expert: what a block multiplies together.
struct alignas(16) TokenTile {
  int32_t expert;
  int32_t first;
  int32_t rows;
  int32_t unused;
};

// No plan of so many pairs has more tiles of `tokens` rows: launches are sized by it, since the
// plan's own number is known on the device alone.
constexpr int64_t MostTokenTiles(int64_t pairs, int64_t experts, int64_t tokens) {
  return pairs / tokens + (experts < pairs ? experts : pairs);
}

struct TokenTilePlan {
  const int32_t* offsets;  // [experts + 1], of the route plan
  int64_t experts;
  int64_t pairs;  // rows * k
  int64_t most;   // MostTokenTiles()
  int32_t tokens;
  int32_t* ends;     // [experts], scratch
  TokenTile* tiles;  // [most], out: experts ascending, then rows
  int32_t* count;    // out
};

inline constexpr int kTilePlanThreads = 256;
inline constexpr int kTilePlanSharedBytes = kTilePlanThreads * 4;

// An expert's grouped rows, within [0, pairs] whatever the offsets are.
struct PairRange {
  int64_t begin;
  int64_t end;
};
PENSTOCK_SIMT PairRange RowsOf(const TokenTilePlan& p, int64_t expert) {
  const int64_t begin = p.offsets[expert], end = p.offsets[expert + 1];
  const int64_t low = begin < 0 ? 0 : begin < p.pairs ? begin : p.pairs;
  return {low, end < low ? low : end < p.pairs ? end : p.pairs};
}

// By one block of kTilePlanThreads: the tiles before the end of each expert by a scan, then each
// tile finds its expert.
PENSTOCK_SIMT void PlanTokenTiles(const TokenTilePlan& p) {
  auto* scan = reinterpret_cast<int32_t*>(Simt::Shared());
  const int thread = Simt::Thread(), threads = Simt::Threads();
  int32_t before = 0;
  for (int64_t base = 0; base < p.experts; base += threads) {
    const int64_t expert = base + thread;
    int32_t sum = 0;
    if (expert < p.experts) {
      const PairRange rows = RowsOf(p, expert);
      sum = static_cast<int32_t>((rows.end - rows.begin + p.tokens - 1) / p.tokens);
    }
    scan[thread] = sum;
    for (int step = 1; step < threads; step *= 2) {
      Simt::Sync();
      const int32_t left = thread >= step ? scan[thread - step] : 0;
      Simt::Sync();
      scan[thread] += left;
    }
    if (expert < p.experts) p.ends[expert] = before + scan[thread];
    Simt::Sync();
    before += scan[threads - 1];
    Simt::Sync();
  }
  const int64_t count = before < p.most ? before : p.most;
  if (thread == 0) *p.count = static_cast<int32_t>(count);
  for (int64_t t = thread; t < count; t += threads) {
    int64_t low = 0, high = p.experts - 1;  // the first expert that ends behind t
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (p.ends[middle] > t) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const PairRange rows = RowsOf(p, low);
    const int64_t first = rows.begin + (t - (low > 0 ? p.ends[low - 1] : 0)) * p.tokens;
    const int64_t left = rows.end - first;
    p.tiles[t] = {static_cast<int32_t>(low), static_cast<int32_t>(first),
                  left < p.tokens ? static_cast<int32_t>(left) : p.tokens, 0};
  }
}

}  // namespace penstock::kernels
