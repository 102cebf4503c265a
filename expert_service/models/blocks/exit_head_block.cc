#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/blocks/scratch_parts.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/exit_gate/exit_gate.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {
namespace {

class ExitHeadBlock final : public Block {
 public:
  ExitHeadBlock(kernels::PackedLinear head, std::vector<float> gate, float gate_bias,
                float threshold)
      : head_(std::move(head)),
        gate_(std::move(gate)),
        gate_bias_(gate_bias),
        threshold_(threshold) {}

  // The logits.
  ValueShape Output(const ValueShape& in) const override {
    return {in.rows, kNoPositions, head_.weights().out, Element::kFloat};
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    ScratchParts parts;
    parts.Floats(in.rows);  // the gate's values
    return std::max(parts.bytes(), kernels::LinearWorkspaceBytes(head_.weights(), in.rows));
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    kernels::LinearArgs args;
    args.w = head_.weights();
    args.rows = x.shape.rows;
    args.x = x.floats();
    args.y = y.floats();
    args.workspace = scratch;
    return FromKernel("exit_head: linear", kernels::Linear(args));
  }
  bool has_exit() const override { return true; }
  absl::Status Leaves(const Value& y, kernels::Workspace scratch, uint8_t* leaves) const override {
    kernels::ExitGateArgs args;
    args.rows = y.shape.rows;
    args.classes = y.shape.dim;
    args.logits = y.floats();
    std::copy_n(gate_.data(), kernels::kExitFeatures, args.w);
    args.b = gate_bias_;
    args.threshold = threshold_;
    args.gate = ScratchParts(scratch).Floats(args.rows);
    args.exit = leaves;
    return FromKernel("exit_head: exit_gate", kernels::ExitGate(args));
  }
  double Flops(const ValueShape& in) const override {
    const kernels::LinearWeights& w = head_.weights();
    return kernels::LinearCost(in.rows, w.in, w.out).flops +
           kernels::ExitGateCost(in.rows, w.out).flops;
  }
  size_t resident_bytes() const override { return head_.bytes() + gate_.size() * sizeof(float); }

 private:
  const kernels::PackedLinear head_;
  const std::vector<float> gate_;  // [kExitFeatures]
  const float gate_bias_;
  const float threshold_;
};

}  // namespace

BlockOr MakeExitHead(const config::v1::ExitHead& config, BlockTensors& tensors,
                     const ValueShape& in) {
  if (in.element != Element::kFloat || in.has_positions()) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted [rows, dim], found ", DescribeValue(in)));
  }
  const float threshold = config.has_threshold() ? config.threshold() : 0.5f;
  if (!(threshold > 0) || !(threshold <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("threshold must be in (0, 1], found ", threshold));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix weight, tensors.Matrix("weight", -1, in.dim));
  PENSTOCK_ASSIGN_OR_RETURN(const auto bias, tensors.Floats("bias", {weight.out}));
  PENSTOCK_ASSIGN_OR_RETURN(auto gate, tensors.Floats("gate", {kernels::kExitFeatures}));
  PENSTOCK_ASSIGN_OR_RETURN(const auto gate_bias, tensors.Floats("gate_bias", {1}));
  return std::make_unique<ExitHeadBlock>(Pack(weight, bias.data()), std::move(gate), gate_bias[0],
                                         threshold);
}

}  // namespace penstock::expert
