#include "expert_service/models/blocks/surround.h"

#include "common/status_macros.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/rms_norm/rms_norm.h"

namespace penstock::expert {

absl::StatusOr<Surround> Surround::Read(bool norm, bool residual, BlockTensors& tensors,
                                        int64_t d) {
  Surround surround;
  surround.residual_ = residual;
  if (norm) {
    PENSTOCK_ASSIGN_OR_RETURN(surround.norm_, tensors.Floats("norm", {d}));
  }
  return surround;
}

absl::StatusOr<const float*> Surround::Normed(const float* x, int64_t rows, int64_t d,
                                              float* scratch) const {
  if (norm_.empty()) return x;
  kernels::RmsNormArgs args;
  args.rows = rows;
  args.dim = d;
  args.x = x;
  args.weight = norm_.data();
  args.y = scratch;
  PENSTOCK_RETURN_IF_ERROR(FromKernel("rms_norm", kernels::RmsNorm(args)));
  return scratch;
}

void Surround::Add(const float* x, int64_t count, float* y) const {
  if (!residual_) return;
  for (int64_t i = 0; i < count; ++i) y[i] += x[i];
}

double Surround::Flops(int64_t rows, int64_t d) const {
  return (norm_.empty() ? 0 : kernels::RmsNormCost(rows, d).flops) +
         (residual_ ? static_cast<double>(rows * d) : 0);
}

}  // namespace penstock::expert
