#include "kernels/gmu/gmu.h"
#include "kernels/linear/linear_device.cuh"

namespace penstock::kernels {
namespace {

// h = m * silu(h).
__global__ void GateMemoryKernel(const float* memory, int64_t stride, int64_t rows, int64_t dm,
                                 float* h) {
  for (int64_t i = CudaIndex(); i < rows * dm; i += CudaStride()) {
    h[i] = memory[i / dm * stride + i % dm] * (h[i] / (1.0f + expf(-h[i])));
  }
}

}  // namespace

Status GmuCuda(const GmuArgs& args) {
  const Status status = CheckGmu(args);
  const int64_t rows = args.rows, d = args.w.in.in, dm = args.w.in.out, o = args.w.out.out;
  if (!status.ok() || rows * o == 0) return status;
  CudaCall call;
  const LinearWeights in = UploadLinear(&call, args.w.in);
  const LinearWeights out = UploadLinear(&call, args.w.out);
  const int64_t stride = args.memory_stride != 0 ? args.memory_stride : dm;
  float* x = call.Upload(args.x, rows * d);
  // The last row need not be `stride` long.
  float* memory = call.Upload(args.memory, (rows - 1) * stride + dm);
  float* h = call.Allocate<float>(rows * dm);
  float* y = call.Allocate<float>(rows * o);
  if (!call.failed()) {
    LaunchLinear({in, rows, x, d, h, dm, nullptr});
    GateMemoryKernel<<<CudaBlocks(rows * dm), kCudaThreads>>>(memory, stride, rows, dm, h);
    LaunchLinear({out, rows, h, dm, y, o, nullptr});
  }
  call.Download(args.y, y, rows * o);
  return call.Finish();
}

}  // namespace penstock::kernels
