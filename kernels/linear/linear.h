#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/aligned_buffer.h"
#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/weight_format.h"

namespace penstock::kernels {

// Output columns of a weight panel: one AVX-512 register, two AVX2 registers.
inline constexpr int64_t kPanelColumns = 16;

// always_inline: SIMD files call it, and a copy compiled with their flags must not reach the
// linker.
[[gnu::always_inline]] constexpr int64_t LinearPanels(int64_t out) {
  return (out + kPanelColumns - 1) / kPanelColumns;
}

// Rows that stay in L2 while the panels pass by: 256 KiB of x, at least 48 for reuse of the panels.
[[gnu::always_inline]] constexpr int64_t LinearRowBlock(int64_t in) {
  const int64_t rows = (int64_t{256} << 10) / (static_cast<int64_t>(sizeof(float)) * (in + 1));
  return rows < 48 ? 48 : rows;
}
// Floats from one row of x to the next in the workspace: whole words of codes, and not 4 KiB, since
// rows that far apart would share one L1 set.
[[gnu::always_inline]] constexpr int64_t LinearXStride(int64_t in) {
  const int64_t padded = (in + 15) / 16 * 16;
  return padded % 1024 == 0 ? padded + 16 : padded;
}

// View of packed weights. A panel is 16 outputs; a line of it is 16 words of 32 bits, one an output,
// each of CodesPerWord(format) consecutive inputs. Input i of a word's n inputs stands at bit
// i/2 * bits + i%2 * 16 (n = 1: the word), so that one shift of a line leaves pairs of inputs in
// halves of words. panels [ceil(out/16)][ceil(in/n)][16]; scales [ceil(out/16)][groups][16]. Inputs
// beyond `in` and outputs beyond `out` may hold any codes. One layout for all CPU implementations.
struct LinearWeights {
  const void* panels = nullptr;
  const float* bias = nullptr;  // [out], or null
  int64_t in = 0;
  int64_t out = 0;
  WeightFormat format = WeightFormat::kF32;
  int64_t group = 0;              // inputs a scale; 0: all
  const float* scales = nullptr;  // of scaled formats

  [[gnu::always_inline]] int64_t lines() const {
    return (in + CodesPerWord(format) - 1) / CodesPerWord(format);
  }
  [[gnu::always_inline]] int64_t groups() const {
    return !IsScaled(format) || in == 0 ? 0 : group == 0 ? 1 : in / group;
  }
};

// From so many rows together on, codes are expanded to floats once for all of them, a run of inputs
// of a few panels at a time: kExpandRows, and the floats' bytes, which stay in L1.
inline constexpr int64_t kExpandRows = 12;
inline constexpr int64_t kExpandedBytes = int64_t{16} << 10;
// Their sums meanwhile, of so many panels.
inline constexpr int64_t kExpandedPanels = 4;

// Inputs that cannot be parted: a word's, or a scale's.
[[gnu::always_inline]] inline int64_t LinearUnit(const LinearWeights& w) {
  if (!IsScaled(w.format)) return CodesPerWord(w.format);
  return w.group == 0 ? w.lines() * CodesPerWord(w.format) : w.group;
}
[[gnu::always_inline]] inline bool LinearExpands(const LinearWeights& w, int64_t rows) {
  return rows >= kExpandRows && CodesPerWord(w.format) > 1 && w.in > 0 &&
         LinearUnit(w) * kPanelColumns * 4 <= kExpandedBytes;
}

// Rows together: where a run of their inputs is all that must stay near, there are more.
inline constexpr int64_t kExpandedRowBlock = 96;
[[gnu::always_inline]] inline int64_t LinearBlock(const LinearWeights& w, int64_t rows) {
  const int64_t block = LinearRowBlock(w.in);
  return LinearExpands(w, rows) && block < kExpandedRowBlock ? kExpandedRowBlock : block;
}

// Owns packed weights; immutable, shared between threads freely.
class PackedLinear {
 public:
  PackedLinear() = default;
  // weight [out, in] row-major; bias [out] or null. Copies both. Scaled formats are rounded by
  // Quantize(); CheckGroup must hold.
  PackedLinear(const float* weight, const float* bias, int64_t in, int64_t out,
               WeightFormat format = WeightFormat::kF32, int64_t group = 0);
  // CheckCoded must hold.
  PackedLinear(const CodedMatrix& matrix, const float* bias);

  const LinearWeights& weights() const { return weights_; }
  size_t bytes() const { return buffer_.bytes(); }

 private:
  // Memory for panels, scales and bias, and the view of it.
  void Allocate(const float* bias, int64_t in, int64_t out, WeightFormat format, int64_t group);
  void Put(int64_t n, int64_t k, uint32_t code);

  AlignedBuffer buffer_;
  LinearWeights weights_;
};

// The weight of input k for output n: what the references compute with.
double PanelWeight(const LinearWeights& w, int64_t n, int64_t k);

// y = x W^T + bias + residual. Rows are `stride` floats apart; 0 means dense. y may be residual
// itself, but must not overlap x. A row's sum runs over k = 0, 1, ... in one chain, whatever
// `rows`; with scaled formats in one chain a group, and groups in one chain. Where the entry
// multiplies in bfloat16 (avx512bf16, for all formats but f32 and f16), x is rounded to it first.
struct LinearArgs {
  LinearWeights w;
  int64_t rows = 0;
  const float* x = nullptr;  // [rows, in]
  int64_t x_stride = 0;
  float* y = nullptr;  // [rows, out]
  int64_t y_stride = 0;
  const float* residual = nullptr;  // [rows, out] with y_stride, or null
  // LinearWorkspaceBytes(): none for f32. The table's CPU entries share the work with its pool.
  Workspace workspace;
  // [rows]: row r is row x_rows[r] of x, at least 0; null: row r. Of LinearPicksRows() formats.
  const int32_t* x_rows = nullptr;
};

struct LinearImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const LinearArgs&);
};

std::span<const LinearImpl> LinearImpls();
Status Linear(const LinearArgs& args);  // the chosen entry
// Whether rows of x may be picked: where they are prepared in the workspace anyway.
inline bool LinearPicksRows(WeightFormat format) { return format != WeightFormat::kF32; }
size_t LinearWorkspaceBytes(const LinearWeights& w, int64_t rows, int threads = 1);
Cost LinearCost(int64_t rows, int64_t in, int64_t out);

// kInvalidArgument for null pointers, negative sizes, rows that overlap, a workspace too small.
Status CheckLinear(const LinearArgs& args);

// The entries, for the table and for the ops built on them: in the caller's thread.
Status LinearReference(const LinearArgs& args);
Status LinearAvx2(const LinearArgs& args);
Status LinearAvx512(const LinearArgs& args);
Status LinearAvx512Bf16(const LinearArgs& args);
Status LinearCuda(const LinearArgs& args);

}  // namespace penstock::kernels
