#include <cfloat>

#include "kernels/device/cuda_buffer.cuh"
#include "kernels/route_topk/route_topk.h"

namespace penstock::kernels {
namespace {

// The recipe of route_topk.h, rounding by rounding.
__device__ float ExpFloat(float x) {
  x = fminf(fmaxf(x, -104.0f), 89.0f);
  const float n = rintf(__fmul_rn(x, 1.44269504088896341f));
  float r = fmaf(n, -0.693359375f, x);
  r = fmaf(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = fmaf(p, r, 1.3981999507e-3f);
  p = fmaf(p, r, 8.3334519073e-3f);
  p = fmaf(p, r, 4.1665795894e-2f);
  p = fmaf(p, r, 1.6666665459e-1f);
  p = fmaf(p, r, 5.0000001201e-1f);
  p = __fadd_rn(fmaf(p, __fmul_rn(r, r), r), 1.0f);
  const int whole = static_cast<int>(n), half = whole >> 1;
  p = __fmul_rn(p, __int_as_float((half + 127) << 23));
  return __fmul_rn(p, __int_as_float((whole - half + 127) << 23));
}

__device__ float Logit(const RouteTopKArgs& a, const float* row, int64_t e) {
  const float z = row[e];
  if (isnan(z) || (a.available != nullptr && a.available[e] == 0)) return -INFINITY;
  return fminf(z, FLT_MAX);
}

__device__ float SoftmaxSum(const RouteTopKArgs& a, const float* row, float max) {
  float lanes[16] = {};
  for (int64_t e = 0; e < a.experts; ++e) {
    lanes[e % 16] = __fadd_rn(lanes[e % 16], ExpFloat(__fsub_rn(Logit(a, row, e), max)));
  }
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] = __fadd_rn(lanes[i], lanes[i + width]);
  }
  return lanes[0];
}

// One thread a row; each pick scans the row for the best key after the last pick.
__global__ void RouteTopKKernel(RouteTopKArgs a, unsigned long long* degenerate) {
  for (int64_t t = CudaIndex(); t < a.rows; t += CudaStride()) {
    const float* row = a.logits + t * a.experts;
    int32_t* ids = a.ids + t * a.k;
    float* weights = a.weights + t * a.k;
    float max = -INFINITY;
    for (int64_t e = 0; e < a.experts; ++e) max = fmaxf(max, Logit(a, row, e));
    const bool softmax = a.score == RouteScore::kSoftmax, dead = max == -INFINITY;
    if (dead) atomicAdd(degenerate, 1ull);
    const float denominator = softmax && !dead ? SoftmaxSum(a, row, max) : 1.0f;
    float last_key = INFINITY, sum = 0;
    int64_t last_id = -1, taken = 0;
    for (; taken < a.k && !dead; ++taken) {
      float best_key = -INFINITY, best_score = 0;
      int64_t best = -1;
      for (int64_t e = 0; e < a.experts; ++e) {
        const float z = Logit(a, row, e);
        if (z == -INFINITY) continue;
        const float score = softmax
                                ? __fdiv_rn(ExpFloat(__fsub_rn(z, max)), denominator)
                                : __fdiv_rn(1.0f, __fadd_rn(1.0f, ExpFloat(__fsub_rn(0.0f, z))));
        float key = softmax && a.bias == nullptr ? z : score;
        if (a.bias != nullptr) key = __fadd_rn(key, a.bias[e]);
        const bool after_last = key < last_key || (key == last_key && e > last_id);
        if (!isnan(key) && after_last && key > best_key) {
          best_key = key;
          best_score = score;
          best = e;
        }
      }
      if (best < 0) break;
      last_key = best_key;
      last_id = best;
      ids[taken] = static_cast<int32_t>(best);
      weights[taken] = best_score;
      sum = __fadd_rn(sum, best_score);
    }
    for (int64_t i = 0; i < taken; ++i) {
      const float share = sum < 1e-12f ? -1.0f : __fdiv_rn(weights[i], sum);
      if (!a.renorm) {
        weights[i] = __fmul_rn(a.scale, weights[i]);
      } else if (share < 0) {
        weights[i] = __fdiv_rn(a.scale, static_cast<float>(taken));
      } else {
        weights[i] = __fmul_rn(a.scale, share);
      }
    }
    for (int64_t i = taken; i < a.k; ++i) {
      ids[i] = kUnusedSlot;
      weights[i] = 0;
    }
  }
}

}  // namespace

Status RouteTopKCuda(const RouteTopKArgs& args) {
  const Status status = CheckRouteTopK(args);
  if (!status.ok() || args.rows == 0) return status;
  if (args.score == RouteScore::kSqrtSoftplus || args.groups > 1 || args.scores != nullptr) {
    return {Code::kUnsupported, "route_topk: no CUDA entry for sqrtsoftplus, groups and scores"};
  }
  CudaCall call;
  RouteTopKArgs a = args;
  const unsigned long long zero = 0;
  unsigned long long degenerate = 0;
  a.logits = call.Upload(args.logits, args.rows * args.experts);
  a.bias = call.Upload(args.bias, args.experts);
  a.available = call.Upload(args.available, args.experts);
  a.ids = call.Allocate<int32_t>(args.rows * args.k);
  a.weights = call.Allocate<float>(args.rows * args.k);
  unsigned long long* counter = call.Upload(&zero, 1);
  if (!call.failed()) RouteTopKKernel<<<CudaBlocks(a.rows), kCudaThreads>>>(a, counter);
  call.Download(args.ids, a.ids, args.rows * args.k);
  call.Download(args.weights, a.weights, args.rows * args.k);
  call.Download(&degenerate, counter, 1);
  const Status done = call.Finish();
  if (done.ok() && args.degenerate_rows != nullptr) {
    *args.degenerate_rows += static_cast<int64_t>(degenerate);
  }
  return done;
}

}  // namespace penstock::kernels
