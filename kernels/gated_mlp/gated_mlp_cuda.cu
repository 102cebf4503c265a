#include "kernels/gated_mlp/gated_mlp_device.cuh"
#include "kernels/gated_mlp/glu_simt.h"
#include "kernels/rms_norm/rms_norm_device.cuh"

namespace penstock::kernels {
namespace {

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
