#include "expert_service/models/blocks/gated_readout.h"

#include "common/status_macros.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/gmu/gmu.h"
#include "kernels/rms_norm/rms_norm.h"

namespace penstock::expert {

absl::StatusOr<GatedReadout> GatedReadout::Read(BlockTensors& tensors, int64_t d, int64_t d_v,
                                                int64_t heads, bool gated) {
  GatedReadout readout;
  PENSTOCK_ASSIGN_OR_RETURN(readout.norm_, tensors.Floats("out_norm", {d_v / heads}));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix out, tensors.Matrix("out", d, d_v));
  readout.out_ = Pack(out, nullptr);
  if (gated) {
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix gate, tensors.Matrix("gate", d_v, d));
    readout.gate_ = Pack(gate, nullptr);
  }
  return readout;
}

absl::Status GatedReadout::Run(const float* n, int64_t rows, float* o, float* y,
                               kernels::Workspace scratch) const {
  kernels::RmsNormArgs norm;
  norm.rows = rows * Heads();
  norm.dim = HeadDim();
  norm.x = norm.y = o;
  norm.weight = norm_.data();
  PENSTOCK_RETURN_IF_ERROR(FromKernel("out_norm", kernels::RmsNorm(norm)));
  if (!gate_) {
    kernels::LinearArgs args;
    args.w = out_.weights();
    args.rows = rows;
    args.x = o;
    args.y = y;
    args.workspace = scratch;
    return FromKernel("out", kernels::Linear(args));
  }
  // The same arithmetic as a gated memory unit's, whose memory is what the heads read out.
  kernels::GmuArgs args;
  args.w = {gate_->weights(), out_.weights()};
  args.rows = rows;
  args.x = n;
  args.memory = o;
  args.y = y;
  args.workspace = scratch;
  return FromKernel("gate and out", kernels::Gmu(args));
}

size_t GatedReadout::WorkspaceBytes(int64_t rows) const {
  return gate_ ? kernels::GmuWorkspaceBytes({gate_->weights(), out_.weights()}, rows)
               : kernels::LinearWorkspaceBytes(out_.weights(), rows);
}

double GatedReadout::Flops(int64_t rows) const {
  const kernels::LinearWeights& out = out_.weights();
  return kernels::RmsNormCost(rows * Heads(), HeadDim()).flops +
         (gate_ ? kernels::GmuCost(rows, gate_->weights().in, out.in, out.out).flops
                : kernels::LinearCost(rows, out.in, out.out).flops);
}

size_t GatedReadout::bytes() const {
  return norm_.size() * sizeof(float) + (gate_ ? gate_->bytes() : 0) + out_.bytes();
}

}  // namespace penstock::expert
