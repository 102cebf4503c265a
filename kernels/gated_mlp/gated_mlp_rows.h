#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/gated_mlp/gated_mlp_segments.h"
#include "kernels/gated_mlp/glu.h"

namespace penstock::kernels {
namespace {

Status GatedMlpRows(const GatedMlpArgs& args, LinearEntry linear,
                    Status (*rms_norm)(const RmsNormArgs&)) {
  Status status = CheckGatedMlp(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  const GatedMlpWeights& w = args.w;
  const int64_t d = w.gate_up.in, o = w.down.out;
  const int64_t block = args.rows < kGatedMlpRowBlock ? args.rows : kGatedMlpRowBlock;
  char* at = WorkspaceStart(args.workspace);
  float* gate_up = TakeFloats(&at, block * w.gate_up.out);
  float* normed = w.norm != nullptr ? TakeFloats(&at, block * d) : nullptr;
  const ThreadScratch scratch = GatedMlpThreads(args, at);
  for (int64_t row = 0; row < args.rows; row += block) {
    const int64_t rows = args.rows - row < block ? args.rows - row : block;
    const float* x = args.x + row * d;
    const float* n = x;
    if (w.norm != nullptr) {
      status = rms_norm({rows, d, x, w.norm, w.eps, normed});
      if (status.code != Code::kOk) return status;
      n = normed;
    }
    const GatedMlpSegment segment = {&w, 0, rows};
    status = RunGatedMlpSegments(&segment, 1, {n}, gate_up, w.residual ? x : nullptr,
                                 args.y + row * o, scratch, {linear, Glu});
    if (status.code != Code::kOk) return status;
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
