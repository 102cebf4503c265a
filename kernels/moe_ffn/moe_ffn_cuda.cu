#include "kernels/combine/combine_device.cuh"
#include "kernels/gated_mlp/gated_mlp_device.cuh"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/permute/permute_device.cuh"

namespace penstock::kernels {
namespace {

// Experts one after another; each uploads its weights and frees them before the next.
Status RunExpert(const GatedMlpWeights& w, int64_t rows, const float* x, float* h, float* y) {
  CudaCall call;
  const LinearWeights gate_up = UploadLinear(&call, w.gate_up);
  const LinearWeights down = UploadLinear(&call, w.down);
  if (!call.failed()) {
    LaunchLinear({gate_up, rows, x, gate_up.in, h, gate_up.out, nullptr});
    LaunchGlu(w.activation, h, rows, down.in);
    LaunchLinear({down, rows, h, gate_up.out, y, down.out, nullptr});
  }
  return call.Finish();
}

}  // namespace

Status MoeFfnCuda(const MoeFfnArgs& args) {
  Status status = CheckMoeFfn(args);
  const MoeWeights& w = args.w;
  if (!status.ok() || args.rows * w.o == 0) return status;
  const int64_t slots = args.rows * args.k, pairs = args.plan.offsets[w.count];
  CudaCall call;
  const float* x = call.Upload(args.x, args.rows * w.d);
  const int32_t* src = call.Upload(args.plan.src, slots);
  const int32_t* dst = call.Upload(args.plan.dst, slots);
  const float* weights = call.Upload(args.weights, slots);
  const float* residual = call.Upload(args.residual, args.rows * w.o);
  float* grouped = call.Allocate<float>(pairs * w.d);
  float* h = call.Allocate<float>(pairs * 2 * w.f);
  float* experts = call.Allocate<float>(pairs * w.o);
  float* y = call.Allocate<float>(args.rows * w.o);
  if (!call.failed()) {
    if (pairs > 0) LaunchPermute({args.rows, args.k, w.d, pairs, src, x, grouped});
    for (int64_t e = 0; e < w.count && status.ok(); ++e) {
      const int64_t first = args.plan.offsets[e], rows = args.plan.offsets[e + 1] - first;
      if (rows == 0) continue;
      status = RunExpert(w.experts[e], rows, grouped + first * w.d, h, experts + first * w.o);
    }
    LaunchCombine({args.rows, args.k, w.o, pairs, experts, dst, weights, residual, y});
  }
  call.Download(args.y, y, args.rows * w.o);
  const Status done = call.Finish();
  return status.ok() ? done : status;
}

}  // namespace penstock::kernels
