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

namespace penstock::kernels {

// View of the adapters of one linear layer, side by side: adapter a has the ranks end[a - 1] ..
// end[a] - 1 of both matrices.
struct LoraBank {
  LinearWeights down;            // all A_a, [sum of ranks, d_in]
  LinearWeights up;              // all B_a, [d_out, sum of ranks]; no bias
  const int64_t* end = nullptr;  // [count], ascending; the last is the sum of ranks
  const float* scale = nullptr;  // alpha_a / r_a [count]
  int64_t count = 0;
};

struct LoraAdapter {
  int64_t rank = 0;  // at least 1
  float alpha = 0;
  const float* a = nullptr;  // [rank, d_in]
  const float* b = nullptr;  // [d_out, rank]
};

class PackedLora {
 public:
  PackedLora() = default;
  // Copies all.
  PackedLora(std::span<const LoraAdapter> adapters, int64_t d_in, int64_t d_out);

  LoraBank bank() const;
  size_t bytes() const { return down_.bytes() + up_.bytes(); }

 private:
  PackedLinear down_;
  PackedLinear up_;
  std::vector<int64_t> end_;
  std::vector<float> scale_;
};

// y += gain * sum_a lambda[t, a] (alpha_a / r_a) B_a (A_a x): a mixture of adapters gated a row
// (X-LoRA, arXiv:2402.07148) as two products over all adapters, no call an adapter. lambda may be
// the weights that route_topk gives over adapters, spread out. NaN of it means 0 and is counted. An
// adapter of lambda 0 adds exact zeros; a row of which all are 0 keeps its y bit for bit.
struct LoraMixArgs {
  LoraBank bank;
  int64_t rows = 0;
  float gain = 1;
  const float* x = nullptr;        // [rows, d_in]
  const float* lambda = nullptr;   // [rows, count]
  float* y = nullptr;              // in, out [rows, d_out]; must not overlap x
  int64_t* nan_lambdas = nullptr;  // added to; or null
  Workspace workspace;
};

struct LoraMixImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const LoraMixArgs&);
};

std::span<const LoraMixImpl> LoraMixImpls();
Status LoraMix(const LoraMixArgs& args);
size_t LoraMixWorkspaceBytes(const LoraBank& bank, int64_t rows);
Cost LoraMixCost(const LoraBank& bank, int64_t rows);
Status CheckLoraMix(const LoraMixArgs& args);

// Scratch that the two products of a block of rows need, one after the other.
size_t LoraMixLinearBytes(const LoraBank& bank, int64_t rows);

// Rows per pass: as of gated_mlp.
inline constexpr int64_t kLoraRowBlock = 96;

Status LoraMixReference(const LoraMixArgs& args);
Status LoraMixAvx2(const LoraMixArgs& args);
Status LoraMixAvx512(const LoraMixArgs& args);

}  // namespace penstock::kernels
