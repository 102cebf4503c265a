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
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/route_plan/route_plan.h"

namespace penstock::kernels {

// View: all experts of one shape, [experts].
struct MoeWeights {
  const GatedMlpWeights* experts = nullptr;  // norm and residual unused
  int64_t count = 0;
  int64_t d = 0;
  int64_t f = 0;
  int64_t o = 0;
};

class PackedMoe {
 public:
  PackedMoe() = default;
  // gate, up [experts, f, d]; down [experts, o, f]. Copies all.
  PackedMoe(const float* gate, const float* up, const float* down, int64_t experts, int64_t d,
            int64_t f, int64_t o, Activation activation = Activation::kSwiGlu);
  // One or more experts of one shape, without norm and residual; formats may differ.
  explicit PackedMoe(std::vector<PackedGatedMlp> experts);

  MoeWeights weights() const;
  size_t bytes() const;

 private:
  std::vector<PackedGatedMlp> experts_;
  std::vector<GatedMlpWeights> views_;
  int64_t d_ = 0;
  int64_t f_ = 0;
  int64_t o_ = 0;
};

// y[t] = sum_i weights[t, i] * Wd_e (act(Wg_e x[t]) * (Wu_e x[t])) [+ residual[t]], e = ids[t, i];
// Outrageously Large Neural Networks (arXiv:1701.06538), equation 1. Rows of an expert run
// together, so each expert's weights are read once per kGatedMlpRowBlock rows; experts without
// rows are not touched. The weighted sum is `combine`'s: slot order, float32, after Wd.
struct MoeFfnArgs {
  MoeWeights w;
  int64_t rows = 0;
  int64_t k = 0;
  PlanView plan;                    // of these ids, from RoutePlan()
  const float* weights = nullptr;   // [rows, k]
  const float* x = nullptr;         // [rows, d]
  const float* residual = nullptr;  // [rows, o], or null; may be y
  float* y = nullptr;               // [rows, o]; must not overlap x unless y = x = residual
  Workspace workspace;
};

struct MoeFfnImpl {
  std::string_view name;
  Isa isa;
  bool (*supported)();
  Status (*run)(const MoeFfnArgs&);
};

std::span<const MoeFfnImpl> MoeFfnImpls();
Status MoeFfn(const MoeFfnArgs& args);
// The most of its experts' GatedMlpLinearBytes for so many rows.
size_t MoeFfnLinearBytes(const MoeWeights& w, int64_t rows);
size_t MoeFfnWorkspaceBytes(const MoeWeights& w, int64_t rows, int64_t k, int threads = 1);
// distinct: experts with at least one row.
Cost MoeFfnCost(int64_t pairs, int64_t distinct, int64_t d, int64_t f, int64_t o);
Status CheckMoeFfn(const MoeFfnArgs& args);

Status MoeFfnReference(const MoeFfnArgs& args);
Status MoeFfnAvx2(const MoeFfnArgs& args);
Status MoeFfnAvx512(const MoeFfnArgs& args);
Status MoeFfnAvx512Bf16(const MoeFfnArgs& args);
Status MoeFfnCuda(const MoeFfnArgs& args);

}  // namespace penstock::kernels
