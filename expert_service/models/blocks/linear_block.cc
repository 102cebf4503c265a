#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {
namespace {

class LinearBlock final : public Block {
 public:
  explicit LinearBlock(kernels::PackedLinear weights) : weights_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = weights_.weights().out;
    return out;
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    return kernels::LinearWorkspaceBytes(weights_.weights(), in.vectors());
  }
  size_t HelperWorkspaceBytes(const ValueShape& in) const override { return WorkspaceBytes(in); }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::LinearArgs args;
    args.w = weights_.weights();
    args.rows = x.shape.vectors();
    args.x = x.floats();
    args.y = y.floats();
    args.workspace = scratch;
    return FromKernel("linear", kernels::Linear(args));
  }
  double Flops(const ValueShape& in) const override {
    return kernels::LinearCost(in.vectors(), in.dim, weights_.weights().out).flops;
  }
  size_t resident_bytes() const override { return weights_.bytes(); }

 private:
  const kernels::PackedLinear weights_;
};

}  // namespace

BlockOr MakeLinear(const config::v1::Linear&, BlockTensors& tensors, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix weight, tensors.Matrix("weight", -1, in.dim));
  std::vector<float> bias;
  if (tensors.Has("bias")) {
    PENSTOCK_ASSIGN_OR_RETURN(bias, tensors.Floats("bias", {weight.out}));
  }
  return std::make_unique<LinearBlock>(Pack(weight, bias.empty() ? nullptr : bias.data()));
}

}  // namespace penstock::expert
