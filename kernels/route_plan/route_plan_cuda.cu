#include "kernels/device/cuda_buffer.cuh"
#include "kernels/route_plan/route_plan.h"

namespace penstock::kernels {
namespace {

// One thread an expert. No atomic tickets: their order, and so the plan, would vary between runs.
__global__ void CountKernel(RoutePlanArgs a) {
  const int64_t pairs = a.rows * a.k;
  for (int64_t e = CudaIndex(); e < a.experts; e += CudaStride()) {
    int32_t count = 0;
    for (int64_t pair = 0; pair < pairs; ++pair) count += a.ids[pair] == e ? 1 : 0;
    a.plan.counts[e] = count;
  }
}

__global__ void ScanKernel(RoutePlanArgs a) {
  int32_t start = 0;
  for (int64_t e = 0; e < a.experts; ++e) {
    a.plan.offsets[e] = start;
    start += a.plan.counts[e];
  }
  a.plan.offsets[a.experts] = start;
}

// src and dst hold -1 before.
__global__ void PlaceKernel(RoutePlanArgs a) {
  const int64_t pairs = a.rows * a.k;
  for (int64_t e = CudaIndex(); e < a.experts; e += CudaStride()) {
    int32_t at = a.plan.offsets[e];
    for (int64_t pair = 0; pair < pairs; ++pair) {
      if (a.ids[pair] != e) continue;
      a.plan.src[at] = static_cast<int32_t>(pair);
      a.plan.dst[pair] = at++;
    }
  }
}

}  // namespace

Status RoutePlanCuda(const RoutePlanArgs& args) {
  const Status status = CheckRoutePlan(args);
  if (!status.ok()) return status;
  const int64_t pairs = args.rows * args.k;
  CudaCall call;
  RoutePlanArgs a = args;
  a.ids = call.Upload(args.ids, pairs);
  a.plan.counts = call.Allocate<int32_t>(args.experts);
  a.plan.offsets = call.Allocate<int32_t>(args.experts + 1);
  a.plan.src = call.Allocate<int32_t>(pairs);
  a.plan.dst = call.Allocate<int32_t>(pairs);
  if (!call.failed()) {
    if (pairs > 0) {
      cudaMemsetAsync(a.plan.src, 0xff, static_cast<size_t>(pairs) * sizeof(int32_t), nullptr);
      cudaMemsetAsync(a.plan.dst, 0xff, static_cast<size_t>(pairs) * sizeof(int32_t), nullptr);
    }
    CountKernel<<<CudaBlocks(args.experts), kCudaThreads>>>(a);
    ScanKernel<<<1, 1>>>(a);
    PlaceKernel<<<CudaBlocks(args.experts), kCudaThreads>>>(a);
  }
  call.Download(args.plan.counts, a.plan.counts, args.experts);
  call.Download(args.plan.offsets, a.plan.offsets, args.experts + 1);
  call.Download(args.plan.src, a.plan.src, pairs);
  call.Download(args.plan.dst, a.plan.dst, pairs);
  return call.Finish();
}

}  // namespace penstock::kernels
