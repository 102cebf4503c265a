#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/aligned_buffer.h"
#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"

namespace penstock::kernels {

// Output columns of a weight panel: one AVX-512 register, two AVX2 registers.
inline constexpr int64_t kPanelColumns = 16;

// always_inline: SIMD files call it, and a copy compiled with their flags must not reach the
// linker.
[[gnu::always_inline]] constexpr int64_t LinearPanels(int64_t out) {
  return (out + kPanelColumns - 1) / kPanelColumns;
}

// View of packed weights: panels [ceil(out/16)][in][16], where entry (p, k, c) is W[16p + c, k];
// columns beyond `out` may hold anything. One layout for all CPU implementations.
struct LinearWeights {
  const float* panels = nullptr;
  const float* bias = nullptr;  // [out], or null
  int64_t in = 0;
  int64_t out = 0;
};

// Owns packed weights; immutable, shared between threads freely.
class PackedLinear {
 public:
  PackedLinear() = default;
  // weight [out, in] row-major; bias [out] or null. Copies both.
  PackedLinear(const float* weight, const float* bias, int64_t in, int64_t out);

  const LinearWeights& weights() const { return weights_; }
  size_t bytes() const { return buffer_.bytes(); }

 private:
  AlignedBuffer buffer_;
  LinearWeights weights_;
};

// y = x W^T + bias + residual. Rows are `stride` floats apart; 0 means dense. y may be residual
// itself, but must not overlap x. A row's sum runs over k = 0, 1, ... in one chain, whatever
// `rows`.
struct LinearArgs {
  LinearWeights w;
  int64_t rows = 0;
  const float* x = nullptr;  // [rows, in]
  int64_t x_stride = 0;
  float* y = nullptr;  // [rows, out]
  int64_t y_stride = 0;
  const float* residual = nullptr;  // [rows, out] with y_stride, or null
};

struct LinearImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const LinearArgs&);
};

std::span<const LinearImpl> LinearImpls();
Status Linear(const LinearArgs& args);  // the chosen entry
Cost LinearCost(int64_t rows, int64_t in, int64_t out);

// kInvalidArgument for null pointers, negative sizes and rows that overlap.
Status CheckLinear(const LinearArgs& args);

// The entries, for the table and for the ops built on them.
Status LinearReference(const LinearArgs& args);
Status LinearAvx2(const LinearArgs& args);
Status LinearAvx512(const LinearArgs& args);
Status LinearCuda(const LinearArgs& args);

}  // namespace penstock::kernels
