#include "kernels/combine/combine_device.cuh"
#include "kernels/device/cuda_buffer.cuh"

namespace penstock::kernels {
namespace {

// __fmul_rn and __fadd_rn are never fused: combine.h defines the result by its roundings.
__global__ void CombineKernel(CombineArgs a) {
  for (int64_t i = CudaIndex(); i < a.rows * a.dim; i += CudaStride()) {
    const int64_t t = i / a.dim, c = i % a.dim;
    float sum = 0;
    for (int64_t pair = t * a.k; pair < (t + 1) * a.k; ++pair) {
      const int32_t at = a.dst[pair];
      if (at < 0 || at >= a.pairs) continue;
      sum = __fadd_rn(sum, __fmul_rn(a.weights[pair], a.h[at * a.dim + c]));
    }
    a.y[i] = a.residual != nullptr ? __fadd_rn(sum, a.residual[i]) : sum;
  }
}

}  // namespace

void LaunchCombine(const CombineArgs& args) {
  CombineKernel<<<CudaBlocks(args.rows * args.dim), kCudaThreads>>>(args);
}

Status CombineCuda(const CombineArgs& args) {
  const Status status = CheckCombine(args);
  const int64_t count = args.rows * args.dim;
  if (!status.ok() || count == 0) return status;
  CudaCall call;
  CombineArgs a = args;
  a.h = call.Upload(args.h, args.pairs * args.dim);
  a.dst = call.Upload(args.dst, args.rows * args.k);
  a.weights = call.Upload(args.weights, args.rows * args.k);
  a.residual = call.Upload(args.residual, count);
  a.y = call.Allocate<float>(count);
  if (!call.failed()) LaunchCombine(a);
  call.Download(args.y, a.y, count);
  return call.Finish();
}

}  // namespace penstock::kernels
