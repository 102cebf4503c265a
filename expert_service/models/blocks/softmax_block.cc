#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/softmax/softmax.h"

namespace penstock::expert {
namespace {

class SoftmaxBlock final : public Block {
 public:
  ValueShape Output(const ValueShape& in) const override { return in; }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::SoftmaxArgs args;
    args.rows = x.shape.vectors();
    args.dim = x.shape.dim;
    args.x = x.floats();
    args.y = y.floats();
    return FromKernel("softmax", kernels::Softmax(args));
  }
  double Flops(const ValueShape& in) const override {
    return kernels::SoftmaxCost(in.vectors(), in.dim).flops;
  }
};

}  // namespace

BlockOr MakeSoftmax(const config::v1::Softmax&, BlockTensors&, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  return std::make_unique<SoftmaxBlock>();
}

}  // namespace penstock::expert
