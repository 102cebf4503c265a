#include <vector>

#include "kernels/combine/combine_device.cuh"
#include "kernels/gated_mlp/gated_mlp_device.cuh"
#include "kernels/moe_ffn/cuda/packed_experts.h"
#include "kernels/moe_ffn/cuda/resident_moe.h"
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

// Any formats, in float32.
Status RunAnyFormat(const MoeFfnArgs& args) {
  Status status;
  const MoeWeights& w = args.w;
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

// The experts with rows alone, and the offsets of the plan that go with them.
struct ActiveExperts {
  std::vector<GatedMlpWeights> experts;
  std::vector<int32_t> offsets = {0};

  explicit ActiveExperts(const MoeFfnArgs& args) {
    for (int64_t e = 0; e < args.w.count; ++e) {
      if (args.plan.offsets[e] == args.plan.offsets[e + 1]) continue;
      experts.push_back(args.w.experts[e]);
      offsets.push_back(args.plan.offsets[e + 1]);
    }
  }
};

// The way of weights that stay on the device, with weights there for one call.
Status RunBf16(const MoeFfnArgs& args) {
  ActiveExperts active(args);
  MoeFfnArgs of_active = args;
  of_active.w.experts = active.experts.data();
  of_active.w.count = static_cast<int64_t>(active.experts.size());
  of_active.plan.offsets = active.offsets.data();
  ResidentMoe moe;
  const Status status = moe.Upload(of_active.w);
  return status.ok() ? moe.Run(of_active) : status;
}

}  // namespace

Status MoeFfnCuda(const MoeFfnArgs& args) {
  const Status status = CheckMoeFfn(args);
  if (!status.ok() || args.rows * args.w.o == 0) return status;
  return AllBf16(args.w) ? RunBf16(args) : RunAnyFormat(args);
}

}  // namespace penstock::kernels
