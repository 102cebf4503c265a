#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/causal_conv/causal_conv.h"
#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

inline constexpr float kDefaultLayerNormEps = 1e-5f;

// View.
struct AssociativeMemoryWeights {
  const float* norm_weight = nullptr;  // [d]
  const float* norm_bias = nullptr;    // [d], or null
  float eps = kDefaultLayerNormEps;
  CausalConvWeights conv;  // of d channels
  LinearWeights keys;      // M [slots, d]
  LinearWeights values;    // M transposed [d, slots]
  LinearWeights gates;     // [2d, d], of the local and of the global part
};

class PackedAssociativeMemory {
 public:
  PackedAssociativeMemory() = default;
  // conv [d, width]; memory [slots, d]; gates [d, d]; conv_bias, norm_bias and the gates' biases
  // [d] each, or null. Copies all.
  PackedAssociativeMemory(const float* norm_weight, const float* norm_bias, const float* conv,
                          const float* conv_bias, const float* memory, const float* local_gate,
                          const float* local_bias, const float* global_gate,
                          const float* global_bias, int64_t d, int64_t width, int64_t slots,
                          float eps = kDefaultLayerNormEps);

  AssociativeMemoryWeights weights() const;
  size_t bytes() const;

 private:
  std::vector<float> norm_weight_;
  std::vector<float> norm_bias_;
  PackedCausalConv conv_;
  PackedLinear keys_;
  PackedLinear values_;
  PackedLinear gates_;
  float eps_ = kDefaultLayerNormEps;
};

// Gated associative memory: with h = layer_norm(x), M a learned memory that is both keys and
// values,
//   local = causal_conv(h),   global = softmax(h M^T) M  (not scaled),
//   y = x + sigmoid(Wl h) * local + sigmoid(Wg h) * global.
// Its only state from step to step is the convolution's, of h: a sequence cut anywhere, its state
// carried, gives the same bits as a whole one. NaN reaches the next width - 1 steps of its own
// sequence. y may be x, and overlaps nothing else.
struct AssociativeMemoryArgs {
  AssociativeMemoryWeights w;
  int64_t sequences = 0;
  int64_t steps = 0;
  const float* x = nullptr;  // [sequences, steps, d]
  float* state = nullptr;    // [sequences, width - 1, d], in and out; null: zeros before step 0
  float* y = nullptr;        // out [sequences, steps, d]
  Workspace workspace;
};

struct AssociativeMemoryImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const AssociativeMemoryArgs&);
};

std::span<const AssociativeMemoryImpl> AssociativeMemoryImpls();
Status AssociativeMemory(const AssociativeMemoryArgs& args);
size_t AssociativeMemoryWorkspaceBytes(const AssociativeMemoryWeights& w, int64_t sequences,
                                       int64_t steps);
Cost AssociativeMemoryCost(const AssociativeMemoryWeights& w, int64_t sequences, int64_t steps);
Status CheckAssociativeMemory(const AssociativeMemoryArgs& args);

// Scratch that the three products of a block need, one after the other.
size_t AssociativeLinearBytes(const AssociativeMemoryWeights& w, int64_t rows);

// Rows per pass: enough that weights cost little per row, few enough that intermediates stay in L2.
inline constexpr int64_t kAssociativeRows = 96;

// Rows of a block: some steps of a sequence, or all steps of some sequences.
[[gnu::always_inline]] constexpr int64_t AssociativeBlock(int64_t sequences, int64_t steps) {
  if (steps >= kAssociativeRows) return kAssociativeRows;
  const int64_t together = kAssociativeRows / (steps < 1 ? 1 : steps);
  return (together < sequences ? together : sequences) * steps;
}

Status AssociativeMemoryReference(const AssociativeMemoryArgs& args);
Status AssociativeMemoryAvx2(const AssociativeMemoryArgs& args);
Status AssociativeMemoryAvx512(const AssociativeMemoryArgs& args);

}  // namespace penstock::kernels
