#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

// Where the bfloat16 weights of all experts stand in one piece of device memory. Matrices are
// [experts][rows][stride], a row being the inputs of one output, on 16 bytes and 0 behind its end.
// Rows of gate_up alternate by eight, gate rows 8 b to 8 b + 7 and then the same rows of up, so
// that one 16-row fragment of a tensor-core product holds both factors of its outputs, in one
// thread.
struct ExpertLayout {
  int64_t experts = 0;
  int64_t d = 0;
  int64_t f = 0;
  int64_t o = 0;

  int64_t d_stride() const { return (d + 7) / 8 * 8; }
  int64_t f_stride() const { return (f + 7) / 8 * 8; }
  int64_t gate_up_rows() const { return 2 * f_stride(); }

  // Byte offsets, in this order: gate_up, down, their biases, activations.
  size_t gate_up() const { return 0; }
  size_t down() const { return gate_up() + Aligned(2 * experts * gate_up_rows() * d_stride()); }
  size_t gate_up_bias() const { return down() + Aligned(2 * experts * o * f_stride()); }
  size_t down_bias() const { return gate_up_bias() + Aligned(4 * experts * gate_up_rows()); }
  size_t activations() const { return down_bias() + Aligned(4 * experts * o); }
  size_t bytes() const { return activations() + Aligned(experts); }

  static size_t Aligned(int64_t bytes) { return (static_cast<size_t>(bytes) + 255) / 256 * 256; }
};

// The row of gate_up in which gate j stands, or, with `up`, up j.
constexpr int64_t GateUpRow(int64_t j, bool up) { return j / 8 * 16 + (up ? 8 : 0) + j % 8; }

// Whether every matrix is bfloat16: what the layout holds.
bool AllBf16(const MoeWeights& w);
ExpertLayout LayoutOf(const MoeWeights& w);

// Hands out every byte of the layout but its padding, piece by piece: write(at, from, bytes). Stops
// at the first failure.
Status PackExperts(const MoeWeights& w,
                   const std::function<Status(size_t, const void*, size_t)>& write);

}  // namespace penstock::kernels
