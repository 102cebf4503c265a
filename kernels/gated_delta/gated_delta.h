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

// The gated delta rule (Gated Delta Networks, arXiv:2412.06464, equation 10): per sequence and
// value head, over its tokens t in order, with a = exp(g), g at most 0,
//   u_t = beta_t (v_t - a_t S_{t-1}^T k_t),   S_t = a_t S_{t-1} + k_t u_t^T,
//   y_t = scale * S_t^T q_t.
// `normalise` divides q and k by sqrt(|x|^2 + 1e-6) first; without it, keys longer than 1 may make
// the state grow without bound. g <= kForgetGate means a = 0: the history is forgotten exactly. An
// input's NaN reaches its own heads of its own sequence, from its token on. y must not overlap the
// inputs. A sequence's bits depend on its own tokens only.
struct GatedDeltaArgs {
  int64_t sequences = 0;
  int64_t key_heads = 0;
  int64_t value_heads = 0;  // a multiple of key_heads: head h has key head h * key / value heads
  int64_t key_dim = 0;
  int64_t value_dim = 0;
  const int64_t* offsets = nullptr;  // [sequences + 1], rising: sequence s is tokens offsets[s]...
  const float* q = nullptr;          // [tokens, key_heads, key_dim]
  const float* k = nullptr;          // [tokens, key_heads, key_dim]
  const float* v = nullptr;          // [tokens, value_heads, value_dim]
  const float* g = nullptr;          // [tokens, value_heads], log of the decay
  const float* beta = nullptr;       // [tokens, value_heads], 0 to 1; to 2 for reflections
  float* state = nullptr;  // [sequences, value_heads, StateFloats(key_dim, value_dim)], in and out
  float* y = nullptr;      // [tokens, value_heads, value_dim]
  float scale = 0;         // of q; 0: 1 / sqrt(key_dim)
  bool normalise = true;
  StateForm form = StateForm::kAuto;
  Workspace workspace;
};

// Added to |x|^2: a vector of zeros stays one.
inline constexpr float kDeltaNormEps = 1e-6f;

struct GatedDeltaImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const GatedDeltaArgs&);
};

std::span<const GatedDeltaImpl> GatedDeltaImpls();
Status GatedDelta(const GatedDeltaArgs& args);
size_t GatedDeltaWorkspaceBytes(int64_t key_dim);
Cost GatedDeltaCost(int64_t tokens, int64_t sequences, int64_t key_heads, int64_t value_heads,
                    int64_t key_dim, int64_t value_dim);
Status CheckGatedDelta(const GatedDeltaArgs& args);

Status GatedDeltaReference(const GatedDeltaArgs& args);
Status GatedDeltaAvx2(const GatedDeltaArgs& args);
Status GatedDeltaAvx512(const GatedDeltaArgs& args);
Status GatedDeltaCuda(const GatedDeltaArgs& args);

}  // namespace penstock::kernels
