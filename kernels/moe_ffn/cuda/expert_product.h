#pragma once

#include "kernels/gated_mlp/glu_simt.h"
#include "kernels/moe_ffn/cuda/token_tiles.h"

namespace penstock::kernels {

// One of the two products of moe_ffn for every tile of the plan, in device memory. Grouped row p is
// pair src[p] = token * k + slot.
//   gate_up: h[p] = act(gate_up x[src[p] / k]), bfloat16
//   down:    y[src[p]] = weights[src[p]] * (down h[p]), float32: the sum over slots comes after
// Rows of x, h, y and of the weights are on 16 bytes. A src that is no pair counts as a row of
// zeros that goes nowhere.
struct ExpertProduct {
  const TokenTile* tiles = nullptr;
  const int32_t* tile_count = nullptr;
  const int32_t* src = nullptr;
  int64_t pairs = 0;
  int64_t k = 0;

  const uint16_t* x = nullptr;
  int64_t x_stride = 0;
  int64_t x_width = 0;  // what follows in a row counts as 0

  const uint16_t* w = nullptr;  // [experts][w_rows][w_stride]
  const float* bias = nullptr;  // [experts][w_rows]
  int64_t w_rows = 0;
  int64_t w_stride = 0;

  const uint8_t* activations = nullptr;  // [experts], of gate_up
  const float* weights = nullptr;        // [pairs], of down
  uint16_t* h = nullptr;                 // [pairs][y_stride], of gate_up
  float* y = nullptr;                    // [pairs][y_stride], of down; no memory shared with h
  int64_t y_stride = 0;
};

// The pair of a grouped row, or -1.
PENSTOCK_SIMT int64_t PairOf(const ExpertProduct& p, int64_t grouped_row) {
  const int64_t pair = p.src[grouped_row];
  return pair >= 0 && pair < p.pairs ? pair : -1;
}

// The row of x for a grouped row, or -1.
template <bool kGateUp>
PENSTOCK_SIMT int64_t InputRow(const ExpertProduct& p, int64_t grouped_row) {
  const int64_t pair = PairOf(p, grouped_row);
  if (pair < 0) return -1;
  return kGateUp ? pair / p.k : grouped_row;
}

}  // namespace penstock::kernels
