#include "kernels/device/cuda_buffer.cuh"
#include "kernels/permute/permute_device.cuh"

namespace penstock::kernels {
namespace {

__global__ void PermuteKernel(PermuteArgs a) {
  for (int64_t i = CudaIndex(); i < a.pairs * a.dim; i += CudaStride()) {
    a.y[i] = a.x[a.src[i / a.dim] / a.k * a.dim + i % a.dim];
  }
}

}  // namespace

void LaunchPermute(const PermuteArgs& args) {
  PermuteKernel<<<CudaBlocks(args.pairs * args.dim), kCudaThreads>>>(args);
}

Status PermuteCuda(const PermuteArgs& args) {
  const Status status = CheckPermute(args);
  const int64_t count = args.pairs * args.dim;
  if (!status.ok() || count == 0) return status;
  CudaCall call;
  PermuteArgs a = args;
  a.src = call.Upload(args.src, args.pairs);
  a.x = call.Upload(args.x, args.rows * args.dim);
  a.y = call.Allocate<float>(count);
  if (!call.failed()) LaunchPermute(a);
  call.Download(args.y, a.y, count);
  return call.Finish();
}

}  // namespace penstock::kernels
