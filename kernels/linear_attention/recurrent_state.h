#pragma once

#include <cstdint>

#include "kernels/linear/linear.h"

namespace penstock::kernels {

// The state of one head of one sequence, S [key_dim, value_dim], in panels
// [ceil(value_dim/16)][key_dim][16], as `linear` keeps float32 weights: entry (p, c, j) is
// S[c, 16p + j]; columns beyond value_dim may hold anything. All zero before the first token.
// always_inline here and below: SIMD files call these.
[[gnu::always_inline]] constexpr int64_t StateFloats(int64_t key_dim, int64_t value_dim) {
  return LinearPanels(value_dim) * kPanelColumns * key_dim;
}

[[gnu::always_inline]] constexpr int64_t StateIndex(int64_t key_dim, int64_t c, int64_t column) {
  return (column / kPanelColumns * key_dim + c) * kPanelColumns + column % kPanelColumns;
}

// Tokens of a block: the state is read and written once a block.
inline constexpr int64_t kStateChunk = 16;

// How a block of up to kStateChunk tokens of one sequence passes through the state.
enum class StateForm : uint8_t {
  kAuto,       // the faster one for the block's length
  kRecurrent,  // token after token: decode
  kChunkwise,  // three matrix products a block: prefill
};

// Panels of values that pass through the state together, at most.
inline constexpr int64_t kStateGroup = 4;

// exp(-60) = 9e-27: below this log-gate nothing of the past is visible in float32.
inline constexpr float kForgetGate = -60.0f;

// key_dim rounded up to whole registers of any width: rows of scratch.
[[gnu::always_inline]] constexpr int64_t PaddedKeyDim(int64_t key_dim) {
  return (key_dim + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
}

}  // namespace penstock::kernels
