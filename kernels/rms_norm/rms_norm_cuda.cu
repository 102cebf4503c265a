#include "kernels/device/cuda_buffer.cuh"
#include "kernels/rms_norm/rms_norm_device.cuh"

namespace penstock::kernels {
namespace {

// One thread a row.
__global__ void RmsNormKernel(RmsNormArgs a) {
  for (int64_t row = CudaIndex(); row < a.rows; row += CudaStride()) {
    const float* x = a.x + row * a.dim;
    float squares = 0;
    for (int64_t i = 0; i < a.dim; ++i) squares = fmaf(x[i], x[i], squares);
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(a.dim) + a.eps);
    for (int64_t i = 0; i < a.dim; ++i) a.y[row * a.dim + i] = x[i] * scale * a.weight[i];
  }
}

}  // namespace

void LaunchRmsNorm(const RmsNormArgs& args) {
  RmsNormKernel<<<CudaBlocks(args.rows), kCudaThreads>>>(args);
}

Status RmsNormCuda(const RmsNormArgs& args) {
  const Status status = CheckRmsNorm(args);
  const int64_t count = args.rows * args.dim;
  if (!status.ok() || count == 0) return status;
  CudaCall call;
  RmsNormArgs a = args;
  a.x = call.Upload(args.x, count);
  a.weight = call.Upload(args.weight, args.dim);
  a.y = call.Allocate<float>(count);
  if (!call.failed()) LaunchRmsNorm(a);
  call.Download(args.y, a.y, count);
  return call.Finish();
}

}  // namespace penstock::kernels
