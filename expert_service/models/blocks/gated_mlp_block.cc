#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/gated_mlp/gated_mlp.h"

namespace penstock::expert {
namespace {

class GatedMlpBlock final : public Block {
 public:
  explicit GatedMlpBlock(kernels::PackedGatedMlp weights) : weights_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = weights_.weights().down.out;
    return out;
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    return kernels::GatedMlpWorkspaceBytes(weights_.weights(), in.vectors());
  }
  size_t HelperWorkspaceBytes(const ValueShape& in) const override {
    return kernels::GatedMlpWorkspaceBytes(weights_.weights(), in.vectors(), 2) -
           WorkspaceBytes(in);
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::GatedMlpArgs args;
    args.w = weights_.weights();
    args.rows = x.shape.vectors();
    args.x = x.floats();
    args.y = y.floats();
    args.workspace = scratch;
    return FromKernel("gated_mlp", kernels::GatedMlp(args));
  }
  double Flops(const ValueShape& in) const override {
    return kernels::GatedMlpCost(in.vectors(), in.dim, weights_.weights().down.in,
                                 weights_.weights().down.out)
        .flops;
  }
  size_t resident_bytes() const override { return weights_.bytes(); }

 private:
  const kernels::PackedGatedMlp weights_;
};

}  // namespace

BlockOr MakeGatedMlp(const config::v1::GatedMlp& config, BlockTensors& tensors,
                     const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  PENSTOCK_ASSIGN_OR_RETURN(const kernels::Activation activation,
                            ActivationOf(config.activation()));
  PENSTOCK_ASSIGN_OR_RETURN(StoredMatrix gate, tensors.Matrix("gate", -1, in.dim));
  const int64_t f = gate.out;
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix up, tensors.Matrix("up", f, in.dim));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix gate_up, Stack(std::move(gate), up, "gate and up"));
  PENSTOCK_ASSIGN_OR_RETURN(
      const StoredMatrix down,
      tensors.Matrix("down", config.residual() ? in.dim : int64_t{-1}, f));
  std::vector<float> norm;
  if (config.norm()) {
    PENSTOCK_ASSIGN_OR_RETURN(norm, tensors.Floats("norm", {in.dim}));
  }
  return std::make_unique<GatedMlpBlock>(kernels::PackedGatedMlp(
      Pack(gate_up, nullptr), Pack(down, nullptr), norm.empty() ? nullptr : norm.data(), activation,
      config.residual()));
}

}  // namespace penstock::expert
