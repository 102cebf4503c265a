#include <vector>

#include "kernels/combine/combine_device.cuh"
#include "kernels/gated_mlp/gated_mlp_device.cuh"
#include "kernels/moe_ffn/cuda/device_moe.h"
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

// What serves weights that stay on the device, with operands there and back: rows are rounded to
// bfloat16, as the weights are.
Status RunBf16(const MoeFfnArgs& args) {
  const ActiveExperts active(args);
  const int64_t experts = static_cast<int64_t>(active.experts.size());
  const int64_t slots = args.rows * args.k, d = args.w.d, o = args.w.o;
  DeviceMoe moe;
  Status status = moe.Upload({active.experts.data(), experts, d, args.w.f, o});
  if (!status.ok()) return status;

  CudaCall call;
  const float* x = call.Upload(args.x, args.rows * d);
  const int64_t x_stride = moe.layout().d_stride();
  uint16_t* rounded = call.Allocate<uint16_t>(args.rows * x_stride);
  float* y = call.Allocate<float>(args.rows * o);
  const size_t scratch = MoeDeviceWorkspaceBytes(moe.layout(), args.rows, args.k);
  MoeDeviceArgs device = {args.rows,
                          args.k,
                          call.Upload(active.offsets.data(), experts + 1),
                          call.Upload(args.plan.src, slots),
                          call.Upload(args.plan.dst, slots),
                          call.Upload(args.weights, slots),
                          rounded,
                          x_stride,
                          call.Upload(args.residual, args.rows * o),
                          y,
                          call.Allocate<char>(static_cast<int64_t>(scratch)),
                          scratch};
  device.tiling = PickMoeTiling({active.offsets.back(), experts, d, args.w.f, o}, moe.arch());
  if (!call.failed()) {
    status = RoundToBf16OnDevice(x, args.rows, d, rounded, x_stride, device.stream);
    if (status.ok()) status = MoeFfnOnDevice(moe, device);
  }
  call.Download(args.y, y, args.rows * o);
  const Status done = call.Finish();
  return status.ok() ? done : status;
}

}  // namespace

Status MoeFfnCuda(const MoeFfnArgs& args) {
  const Status status = CheckMoeFfn(args);
  if (!status.ok() || args.rows * args.w.o == 0) return status;
  return AllBf16(args.w) ? RunBf16(args) : RunAnyFormat(args);
}

}  // namespace penstock::kernels
