#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>
#include <cstring>

#include "kernels/combine/combine.h"
#include "kernels/gated_mlp/glu.h"
#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {
namespace {

Status MoeFfnExperts(const MoeFfnArgs& args, Status (*linear)(const LinearArgs&),
                     Status (*combine)(const CombineArgs&)) {
  Status status = CheckMoeFfn(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  const MoeWeights& w = args.w;
  const int64_t pairs = args.rows * args.k;
  const int64_t block = pairs < kGatedMlpRowBlock ? pairs : kGatedMlpRowBlock;
  char* at = WorkspaceStart(args.workspace);
  float* gathered = TakeFloats(&at, block * w.d);
  float* gate_up = TakeFloats(&at, block * 2 * w.f);
  float* grouped = TakeFloats(&at, pairs * w.o);
  const Workspace scratch = {at, MoeFfnLinearBytes(w, block)};
  for (int64_t e = 0; e < w.count; ++e) {
    const int64_t end = args.plan.offsets[e + 1];
    for (int64_t first = args.plan.offsets[e]; first < end; first += block) {
      const int64_t rows = end - first < block ? end - first : block;
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(gathered + r * w.d, args.x + args.plan.src[first + r] / args.k * w.d,
                    static_cast<size_t>(w.d) * sizeof(float));
      }
      status = GatedMlpBlock(w.experts[e], gathered, rows, gate_up, scratch, nullptr,
                             grouped + first * w.o, linear);
      if (status.code != Code::kOk) return status;
    }
  }
  return combine({args.rows, args.k, w.o, args.plan.offsets[w.count], grouped, args.plan.dst,
                  args.weights, args.residual, args.y});
}

}  // namespace
}  // namespace penstock::kernels
