#include "kernels/gated_mlp/gated_mlp_device.cuh"
#include "kernels/rms_norm/rms_norm_device.cuh"

namespace penstock::kernels {
namespace {

__device__ float Gated(Activation activation, float gate, float up) {
  switch (activation) {
    case Activation::kSwiGlu:
      return gate / (1.0f + expf(-gate)) * up;
    case Activation::kGeGluTanh:  // z/2 (1 + tanh u) = z sigmoid(2 u)
      return gate / (1.0f + expf(-1.5957691216057308f * (gate + 0.044715f * gate * gate * gate))) *
             up;
    case Activation::kGeGluErf:
      return 0.5f * gate * erfcf(-gate * 0.70710678118654752f) * up;
    case Activation::kReGlu2:
      return gate < 0.0f ? 0.0f : gate * gate * up;
    case Activation::kClampedSwiGlu: {
      const float g = gate > kClampLimit ? kClampLimit : gate;
      const float u = up > kClampLimit ? kClampLimit : up < -kClampLimit ? -kClampLimit : up;
      return g / (1.0f + expf(-kClampAlpha * g)) * (u + 1.0f);
    }
  }
  return 0;
}

__global__ void GluKernel(Activation activation, float* gate_up, int64_t rows, int64_t f) {
  for (int64_t i = CudaIndex(); i < rows * f; i += CudaStride()) {
    float* gate = gate_up + i / f * 2 * f + i % f;
    *gate = Gated(activation, *gate, gate[f]);
  }
}

}  // namespace

void LaunchGlu(Activation activation, float* gate_up, int64_t rows, int64_t f) {
  GluKernel<<<CudaBlocks(rows * f), kCudaThreads>>>(activation, gate_up, rows, f);
}

Status GatedMlpCuda(const GatedMlpArgs& args) {
  const Status status = CheckGatedMlp(args);
  const int64_t rows = args.rows, d = args.w.gate_up.in, f = args.w.down.in, o = args.w.down.out;
  if (!status.ok() || rows * o == 0) return status;
  CudaCall call;
  const LinearWeights gate_up = UploadLinear(&call, args.w.gate_up);
  const LinearWeights down = UploadLinear(&call, args.w.down);
  const float* norm = call.Upload(args.w.norm, d);
  float* x = call.Upload(args.x, rows * d);
  float* normed = norm != nullptr ? call.Allocate<float>(rows * d) : x;
  float* h = call.Allocate<float>(rows * 2 * f);
  float* y = call.Allocate<float>(rows * o);
  if (!call.failed()) {
    if (norm != nullptr) LaunchRmsNorm({rows, d, x, norm, args.w.eps, normed});
    LaunchLinear({gate_up, rows, normed, d, h, 2 * f, nullptr});
    LaunchGlu(args.w.activation, h, rows, f);
    LaunchLinear({down, rows, h, 2 * f, y, o, args.w.residual ? x : nullptr});
  }
  call.Download(args.y, y, rows * o);
  return call.Finish();
}

}  // namespace penstock::kernels
