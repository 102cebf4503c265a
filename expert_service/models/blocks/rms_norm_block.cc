#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/rms_norm/rms_norm.h"

namespace penstock::expert {
namespace {

class RmsNormBlock final : public Block {
 public:
  RmsNormBlock(std::vector<float> weight, float eps) : weight_(std::move(weight)), eps_(eps) {}

  ValueShape Output(const ValueShape& in) const override { return in; }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::RmsNormArgs args;
    args.rows = x.shape.vectors();
    args.dim = x.shape.dim;
    args.x = x.floats();
    args.weight = weight_.data();
    args.eps = eps_;
    args.y = y.floats();
    return FromKernel("rms_norm", kernels::RmsNorm(args));
  }
  double Flops(const ValueShape& in) const override {
    return kernels::RmsNormCost(in.vectors(), in.dim).flops;
  }
  size_t resident_bytes() const override { return weight_.size() * sizeof(float); }

 private:
  const std::vector<float> weight_;
  const float eps_;
};

}  // namespace

BlockOr MakeRmsNorm(const config::v1::RmsNorm& config, BlockTensors& tensors,
                    const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  const float eps = config.has_eps() ? config.eps() : kernels::kDefaultRmsEps;
  if (!(eps > 0) || !(eps < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("eps must be in (0, 1), found ", eps));
  }
  PENSTOCK_ASSIGN_OR_RETURN(auto weight, tensors.Floats("weight", {in.dim}));
  return std::make_unique<RmsNormBlock>(std::move(weight), eps);
}

}  // namespace penstock::expert
