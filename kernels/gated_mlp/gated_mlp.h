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

// GLU Variants Improve Transformer (arXiv:2002.05202), equations 5 and 6; the square of Primer
// (arXiv:2109.08668), section 3; clamped as OpenAI's gpt-oss models are.
enum class Activation : uint8_t {
  kSwiGlu,     // silu(gate) * up, silu(z) = z / (1 + exp(-z))
  kGeGluTanh,  // gelu(gate) * up, gelu(z) = z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))
  kGeGluErf,   // gelu(gate) * up, gelu(z) = z/2 (1 + erf(z / sqrt 2))
  kReGlu2,     // max(gate, 0)^2 * up
  // g / (1 + exp(-kClampAlpha g)) * (u + 1), g = min(gate, kClampLimit), u = up within +-kClampLimit
  kClampedSwiGlu,
};
inline constexpr float kClampAlpha = 1.702f;
inline constexpr float kClampLimit = 7.0f;

// View of one gated MLP. gate_up has out = 2 f: gate rows, then up rows.
struct GatedMlpWeights {
  LinearWeights gate_up;  // [2 f, d]
  LinearWeights down;     // [o, f]
  Activation activation = Activation::kSwiGlu;
  const float* norm = nullptr;  // [d], or null: no rms_norm before
  float eps = kDefaultRmsEps;
  bool residual = false;  // y = ... + x; needs o = d
};

class PackedGatedMlp {
 public:
  PackedGatedMlp() = default;
  // gate, up [f, d]; down [o, f]; norm [d] or null. Copies all.
  PackedGatedMlp(const float* gate, const float* up, const float* down, const float* norm,
                 int64_t d, int64_t f, int64_t o, Activation activation, bool residual,
                 float eps = kDefaultRmsEps);
  // gate_up [2 f, d], gate rows first; down [o, f]; each in a format of its own. Copies norm.
  PackedGatedMlp(PackedLinear gate_up, PackedLinear down, const float* norm, Activation activation,
                 bool residual, float eps = kDefaultRmsEps);

  const GatedMlpWeights& weights() const { return weights_; }
  size_t bytes() const { return gate_up_.bytes() + down_.bytes(); }

 private:
  PackedLinear gate_up_;
  PackedLinear down_;
  std::vector<float> norm_;
  GatedMlpWeights weights_;
};

// y = Wd (act(Wg n) * (Wu n)) [+ x], n = rms_norm(x) where `norm`, else x. y must not overlap x,
// except y = x where `residual`.
struct GatedMlpArgs {
  GatedMlpWeights w;
  int64_t rows = 0;
  const float* x = nullptr;  // [rows, d]
  float* y = nullptr;        // [rows, o]
  Workspace workspace;
};

struct GatedMlpImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const GatedMlpArgs&);
};

std::span<const GatedMlpImpl> GatedMlpImpls();
Status GatedMlp(const GatedMlpArgs& args);
size_t GatedMlpWorkspaceBytes(const GatedMlpWeights& w, int64_t rows, int threads = 1);
Cost GatedMlpCost(int64_t rows, int64_t d, int64_t f, int64_t o);
Status CheckGatedMlp(const GatedMlpArgs& args);

// Scratch that the two products of a block of rows need of a thread, one after the other.
size_t GatedMlpLinearBytes(const GatedMlpWeights& w, int64_t rows);

// Rows per pass: enough that weights cost little per row, few enough that intermediates stay in L2.
inline constexpr int64_t kGatedMlpRowBlock = 96;

Status GatedMlpReference(const GatedMlpArgs& args);
Status GatedMlpAvx2(const GatedMlpArgs& args);
Status GatedMlpAvx512(const GatedMlpArgs& args);
Status GatedMlpAvx512Bf16(const GatedMlpArgs& args);
Status GatedMlpCuda(const GatedMlpArgs& args);

}  // namespace penstock::kernels
