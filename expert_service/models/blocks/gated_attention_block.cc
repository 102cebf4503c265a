#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/gated_attention/gated_attention.h"

namespace penstock::expert {
namespace {

class GatedAttentionBlock final : public Block {
 public:
  explicit GatedAttentionBlock(kernels::PackedGatedAttention weights)
      : weights_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override { return in; }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    return kernels::GatedAttentionWorkspaceBytes(weights_.weights(), in.rows, in.positions);
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::GatedAttentionArgs args;
    args.w = weights_.weights();
    args.rows = x.shape.rows;
    args.positions = x.shape.positions;
    args.x = x.floats();
    args.y = y.floats();
    args.workspace = scratch;
    return FromKernel("gated_attention", kernels::GatedAttention(args));
  }
  double Flops(const ValueShape& in) const override {
    const kernels::GatedAttentionWeights& w = weights_.weights();
    return kernels::GatedAttentionCost(in.rows, in.positions, in.dim, w.heads, w.gate).flops;
  }
  size_t resident_bytes() const override { return weights_.bytes(); }

 private:
  const kernels::PackedGatedAttention weights_;
};

}  // namespace

BlockOr MakeGatedAttention(const config::v1::GatedAttention& config, BlockTensors& tensors,
                           const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantPositions(in));
  const int64_t d = in.dim;
  const int64_t heads = config.heads();
  if (heads < 1 || d % heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("heads must divide the dimension ", d, ", found ", heads));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto q, tensors.Floats("q", {d, d}));
  PENSTOCK_ASSIGN_OR_RETURN(const auto k, tensors.Floats("k", {d, d}));
  PENSTOCK_ASSIGN_OR_RETURN(const auto v, tensors.Floats("v", {d, d}));
  PENSTOCK_ASSIGN_OR_RETURN(const auto o, tensors.Floats("o", {d, d}));
  PENSTOCK_ASSIGN_OR_RETURN(const auto gate_shape, tensors.Shape("gate", 2));
  if (gate_shape[0] != heads && gate_shape[0] != d) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor gate: wanted [", heads, ",", d, "] (head-wise) or [", d, ",", d,
                     "] (element-wise), found [", gate_shape[0], ",", gate_shape[1], "]"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto gate, tensors.Floats("gate", {gate_shape[0], d}));
  std::vector<float> norm;
  if (config.norm()) {
    PENSTOCK_ASSIGN_OR_RETURN(norm, tensors.Floats("norm", {d}));
  }
  // heads = d makes both shapes the same, and both mean the same.
  const kernels::GateShape shape =
      gate_shape[0] == d ? kernels::GateShape::kElementWise : kernels::GateShape::kHeadWise;
  return std::make_unique<GatedAttentionBlock>(kernels::PackedGatedAttention(
      q.data(), k.data(), v.data(), o.data(), gate.data(), norm.empty() ? nullptr : norm.data(), d,
      heads, shape, config.residual()));
}

}  // namespace penstock::expert
