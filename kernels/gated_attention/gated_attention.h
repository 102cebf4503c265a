#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"
#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {

enum class GateShape : uint8_t {
  kHeadWise,     // gate [heads, d]: one scalar a head
  kElementWise,  // gate [d, d]: one scalar an element
};

// View. `project` stacks q, k, v [d, d] each and the gate: out = 3 d + (heads or d).
struct GatedAttentionWeights {
  LinearWeights project;
  LinearWeights out;  // [d, d]
  int64_t heads = 1;  // divides d
  GateShape gate = GateShape::kElementWise;
  const float* norm = nullptr;  // [d], or null
  float eps = kDefaultRmsEps;
  bool residual = false;
};

class PackedGatedAttention {
 public:
  PackedGatedAttention() = default;
  // q, k, v, o [d, d]; gate as its shape says; norm [d] or null. Copies all.
  PackedGatedAttention(const float* q, const float* k, const float* v, const float* o,
                       const float* gate, const float* norm, int64_t d, int64_t heads,
                       GateShape gate_shape, bool residual, float eps = kDefaultRmsEps);

  const GatedAttentionWeights& weights() const { return weights_; }
  size_t bytes() const { return project_.bytes() + out_.bytes(); }

 private:
  PackedLinear project_;
  PackedLinear out_;
  std::vector<float> norm_;
  GatedAttentionWeights weights_;
};

// Gated Attention for Large Language Models (arXiv:2505.06708), gate at position G1:
// y = Wo (softmax(Q K^T / sqrt(dh)) V * sigmoid(Wt n)) [+ x], n = rms_norm(x) where `norm`, else x;
// no mask. y must not overlap x, except y = x where `residual`.
struct GatedAttentionArgs {
  GatedAttentionWeights w;
  int64_t rows = 0;
  int64_t positions = 0;
  const float* x = nullptr;  // [rows, positions, d]
  float* y = nullptr;        // [rows, positions, d]
  Workspace workspace;
};

struct GatedAttentionImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const GatedAttentionArgs&);
};

std::span<const GatedAttentionImpl> GatedAttentionImpls();
Status GatedAttention(const GatedAttentionArgs& args);
size_t GatedAttentionWorkspaceBytes(const GatedAttentionWeights& w, int64_t rows,
                                    int64_t positions);
Cost GatedAttentionCost(int64_t rows, int64_t positions, int64_t d, int64_t heads, GateShape gate);
Status CheckGatedAttention(const GatedAttentionArgs& args);

// Queries per pass over the keys: their scores stay in L1 up to about 256 positions.
inline constexpr int64_t kAttentionQueryBlock = 24;

// Rows whose projections share one GEMM: short sequences are batched to about 192 positions.
[[gnu::always_inline]] constexpr int64_t AttentionRowGroup(int64_t rows, int64_t positions) {
  const int64_t group = positions >= 192 ? 1 : 192 / (positions < 1 ? 1 : positions);
  return group < rows ? group : rows;
}

Status GatedAttentionReference(const GatedAttentionArgs& args);
Status GatedAttentionAvx2(const GatedAttentionArgs& args);
Status GatedAttentionAvx512(const GatedAttentionArgs& args);
Status GatedAttentionCuda(const GatedAttentionArgs& args);

}  // namespace penstock::kernels
