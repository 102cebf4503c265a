#pragma once

#include "kernels/device/simt.h"

namespace penstock::kernels {

// What happens to whole rows before and after the experts, by blocks of kRowThreads, any number.
inline constexpr int kRowThreads = 256;

// Rounds float32 rows to bfloat16.
struct RowRounding {
  const float* x = nullptr;  // [rows, width]
  int64_t rows = 0;
  int64_t width = 0;
  uint16_t* y = nullptr;  // [rows][stride], 0 behind `width`
  int64_t stride = 0;     // even
};

PENSTOCK_SIMT void RoundRows(const RowRounding& p) {
  const int64_t words = p.stride / 2, step = Simt::Blocks() * Simt::Threads();
  for (int64_t i = Simt::Block() * Simt::Threads() + Simt::Thread(); i < p.rows * words;
       i += step) {
    const int64_t row = i / words, column = i % words * 2;
    const float* x = p.x + row * p.width;
    reinterpret_cast<uint32_t*>(p.y)[i] = Simt::PackBf16(
        column < p.width ? x[column] : 0.0f, column + 1 < p.width ? x[column + 1] : 0.0f);
  }
}

// y[t] = sum over slots of pair_rows[t k + slot] [+ residual[t]], in slot order and float32:
// combine.h's sum of products that are rounded already. Pairs with dst outside [0, *grouped) are
// left out.
struct SlotSums {
  int64_t rows = 0;
  int64_t k = 0;
  int64_t width = 0;
  const float* pair_rows = nullptr;  // [rows * k][stride]
  int64_t stride = 0;
  const int32_t* dst = nullptr;      // [rows * k]
  const int32_t* grouped = nullptr;  // the plan's offsets[experts]
  const float* residual = nullptr;   // [rows, width], or null; may be y
  float* y = nullptr;                // [rows, width]
};

PENSTOCK_SIMT void SumSlots(const SlotSums& p) {
  const int64_t blocks_across = (p.width + Simt::Threads() - 1) / Simt::Threads();
  const int32_t grouped = *p.grouped;
  for (int64_t item = Simt::Block(); item < p.rows * blocks_across; item += Simt::Blocks()) {
    const int64_t t = item / blocks_across;
    const int64_t column = item % blocks_across * Simt::Threads() + Simt::Thread();
    if (column >= p.width) continue;
    float sum = 0;
    for (int64_t pair = t * p.k; pair < (t + 1) * p.k; ++pair) {
      const int32_t at = p.dst[pair];
      if (at < 0 || at >= grouped) continue;
      sum = Simt::Sum(sum, p.pair_rows[pair * p.stride + column]);
    }
    const int64_t at = t * p.width + column;
    p.y[at] = p.residual != nullptr ? Simt::Sum(sum, p.residual[at]) : sum;
  }
}

}  // namespace penstock::kernels
