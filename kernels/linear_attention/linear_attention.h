#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear_attention/recurrent_state.h"

namespace penstock::kernels {

// Gated linear attention (arXiv:2312.06635): per sequence and head, over its tokens t in order,
//   S_t = diag(a_t) S_{t-1} + k_t v_t^T,   y_t = scale * S_t^T q_t,
// a = exp(g), g at most 0. g <= kForgetGate means a = 0: the history is forgotten exactly, and -inf
// makes no NaN. An input's NaN reaches its own head of its own sequence, from its token on.
// y must not overlap the inputs. A sequence's bits depend on its own tokens only.
struct LinearAttentionArgs {
  int64_t sequences = 0;
  int64_t heads = 0;
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  const int64_t* offsets = nullptr;  // [sequences + 1], rising: sequence s is tokens offsets[s]...
  const float* q = nullptr;          // [tokens, heads, key_dim]
  const float* k = nullptr;          // [tokens, heads, key_dim]
  const float* v = nullptr;          // [tokens, heads, value_dim]
  const float* g = nullptr;          // [tokens, heads, key_dim], log of the decay
  float* state = nullptr;  // [sequences, heads, StateFloats(key_dim, value_dim)], in and out
  float* y = nullptr;      // [tokens, heads, value_dim]
  float scale = 0;         // of q; 0: 1 / sqrt(key_dim)
  StateForm form = StateForm::kAuto;
  Workspace workspace;
};

struct LinearAttentionImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const LinearAttentionArgs&);
};

std::span<const LinearAttentionImpl> LinearAttentionImpls();
Status LinearAttention(const LinearAttentionArgs& args);
size_t LinearAttentionWorkspaceBytes(int64_t key_dim);
Cost LinearAttentionCost(int64_t tokens, int64_t sequences, int64_t heads, int64_t key_dim,
                         int64_t value_dim);
Status CheckLinearAttention(const LinearAttentionArgs& args);

Status LinearAttentionReference(const LinearAttentionArgs& args);
Status LinearAttentionAvx2(const LinearAttentionArgs& args);
Status LinearAttentionAvx512(const LinearAttentionArgs& args);
Status LinearAttentionCuda(const LinearAttentionArgs& args);

}  // namespace penstock::kernels
