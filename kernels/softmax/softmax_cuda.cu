#include "kernels/device/cuda_buffer.cuh"
#include "kernels/softmax/softmax.h"

namespace penstock::kernels {
namespace {

// One thread a row.
__global__ void SoftmaxKernel(SoftmaxArgs a) {
  for (int64_t row = CudaIndex(); row < a.rows; row += CudaStride()) {
    const float* x = a.x + row * a.dim;
    float* y = a.y + row * a.dim;
    float max = -INFINITY;
    for (int64_t i = 0; i < a.dim; ++i) max = fmaxf(max, x[i]);  // skips NaN; the sum keeps it
    float sum = 0;
    for (int64_t i = 0; i < a.dim; ++i) sum += y[i] = expf(x[i] - max);
    for (int64_t i = 0; i < a.dim; ++i) y[i] /= sum;
  }
}

}  // namespace

Status SoftmaxCuda(const SoftmaxArgs& args) {
  const Status status = CheckSoftmax(args);
  const int64_t count = args.rows * args.dim;
  if (!status.ok() || count == 0) return status;
  CudaCall call;
  SoftmaxArgs a = args;
  a.x = call.Upload(args.x, count);
  a.y = call.Allocate<float>(count);
  if (!call.failed()) SoftmaxKernel<<<CudaBlocks(a.rows), kCudaThreads>>>(a);
  call.Download(args.y, a.y, count);
  return call.Finish();
}

}  // namespace penstock::kernels
