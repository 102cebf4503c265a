#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/device/cost.h"
#include "kernels/device/isa.h"
#include "kernels/device/status.h"
#include "kernels/device/workspace.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

struct GmuWeights {
  LinearWeights in;   // [dm, d]
  LinearWeights out;  // [o, dm]
};

class PackedGmu {
 public:
  PackedGmu() = default;
  // in [dm, d]; out [o, dm]. Copies both.
  PackedGmu(const float* in, const float* out, int64_t d, int64_t dm, int64_t o)
      : in_(in, nullptr, d, dm), out_(out, nullptr, dm, o) {}

  GmuWeights weights() const { return {in_.weights(), out_.weights()}; }
  size_t bytes() const { return in_.bytes() + out_.bytes(); }

 private:
  PackedLinear in_;
  PackedLinear out_;
};

// Gated memory unit (SambaY, arXiv:2507.06607): y = Wout (m * silu(Win x)), silu(z) = z / (1 +
// exp(-z)). The memory m is what an earlier layer read out of its state, before that layer's output
// projection; several units share it, so it is read in place. y must not overlap x or the memory.
struct GmuArgs {
  GmuWeights w;
  int64_t rows = 0;
  const float* x = nullptr;       // [rows, d]
  const float* memory = nullptr;  // [rows, dm]
  int64_t memory_stride = 0;      // floats from row to row; 0: dm
  float* y = nullptr;             // [rows, o]
  Workspace workspace;
};

struct GmuImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const GmuArgs&);
};

std::span<const GmuImpl> GmuImpls();
Status Gmu(const GmuArgs& args);
size_t GmuWorkspaceBytes(const GmuWeights& w, int64_t rows);
Cost GmuCost(int64_t rows, int64_t d, int64_t dm, int64_t o);
Status CheckGmu(const GmuArgs& args);

// Scratch that the two products of a block of rows need, one after the other.
size_t GmuLinearBytes(const GmuWeights& w, int64_t rows);

// Rows per pass: enough that weights cost little per row, few enough that intermediates stay in L2.
inline constexpr int64_t kGmuRowBlock = 96;

Status GmuReference(const GmuArgs& args);
Status GmuAvx2(const GmuArgs& args);
Status GmuAvx512(const GmuArgs& args);
Status GmuCuda(const GmuArgs& args);

}  // namespace penstock::kernels
