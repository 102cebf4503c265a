#include "kernels/linear/linear_device.cuh"

namespace penstock::kernels {
namespace {

// One thread an output, one chain over k: a row's bits do not depend on the batch.
__global__ void LinearKernel(LinearArgs a) {
  for (int64_t i = CudaIndex(); i < a.rows * a.w.out; i += CudaStride()) {
    const int64_t row = i / a.w.out, n = i % a.w.out;
    const float* x = a.x + row * a.x_stride;
    const float* column =
        a.w.panels + n / kPanelColumns * a.w.in * kPanelColumns + n % kPanelColumns;
    float sum = 0;
    for (int64_t k = 0; k < a.w.in; ++k) sum = fmaf(x[k], column[k * kPanelColumns], sum);
    if (a.w.bias != nullptr) sum += a.w.bias[n];
    const int64_t at = row * a.y_stride + n;
    if (a.residual != nullptr) sum += a.residual[at];
    a.y[at] = sum;
  }
}

}  // namespace

void LaunchLinear(const LinearArgs& args) {
  LinearKernel<<<CudaBlocks(args.rows * args.w.out), kCudaThreads>>>(args);
}

Status LinearCuda(const LinearArgs& args) {
  const Status status = CheckLinear(args);
  if (!status.ok() || args.rows == 0 || args.w.out == 0) return status;
  LinearArgs a = args;
  if (a.x_stride == 0) a.x_stride = a.w.in;
  if (a.y_stride == 0) a.y_stride = a.w.out;
  const int64_t y_count = (a.rows - 1) * a.y_stride + a.w.out;
  CudaCall call;
  a.w = UploadLinear(&call, args.w);
  a.x = call.Upload(args.x, (a.rows - 1) * a.x_stride + a.w.in);
  a.y = call.Upload(args.y, y_count);  // the gaps between rows come back unchanged
  a.residual = call.Upload(args.residual, y_count);
  if (!call.failed()) LaunchLinear(a);
  call.Download(args.y, a.y, y_count);
  return call.Finish();
}

}  // namespace penstock::kernels
