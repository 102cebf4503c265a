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
  absl::Status Run(const Value& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::LinearArgs args;
    args.w = weights_.weights();
    args.rows = x.shape.vectors();
    args.x = x.floats();
    args.y = y.floats();
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
  PENSTOCK_ASSIGN_OR_RETURN(const auto weight, tensors.Floats("weight", {-1, in.dim}));
  const int64_t out = static_cast<int64_t>(weight.size()) / in.dim;
  std::vector<float> bias;
  if (tensors.Has("bias")) {
    PENSTOCK_ASSIGN_OR_RETURN(bias, tensors.Floats("bias", {out}));
  }
  return std::make_unique<LinearBlock>(
      kernels::PackedLinear(weight.data(), bias.empty() ? nullptr : bias.data(), in.dim, out));
}

}  // namespace penstock::expert
