#include "kernels/gated_attention/gated_attention.h"
#include "kernels/linear/linear_device.cuh"
#include "kernels/rms_norm/rms_norm_device.cuh"

namespace penstock::kernels {
namespace {

// One thread a (row, position, head): scores first, then the value sum. scores: scratch
// [rows, positions, heads, positions]. attended [rows, positions, d].
__global__ void AttendKernel(GatedAttentionWeights w, int64_t rows, int64_t positions,
                             const float* projected, float* scores, float* attended) {
  const int64_t d = w.out.out, head_dim = d / w.heads, stride = w.project.out;
  for (int64_t i = CudaIndex(); i < rows * positions * w.heads; i += CudaStride()) {
    const int64_t head = i % w.heads, token = i / w.heads, first = token / positions * positions;
    const float* q = projected + token * stride + head * head_dim;
    const float* k = projected + first * stride + d + head * head_dim;
    const float* v = k + d;
    float* p = scores + i * positions;
    const float scale = 1.0f / sqrtf(static_cast<float>(head_dim));
    float max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < positions; ++j) {
      float dot = 0;
      for (int64_t c = 0; c < head_dim; ++c) dot = fmaf(q[c], k[j * stride + c], dot);
      p[j] = dot;
      max = fmaxf(max, dot);
    }
    for (int64_t j = 0; j < positions; ++j) sum += p[j] = expf((p[j] - max) * scale);
    const float* gates = projected + token * stride + 3 * d;
    for (int64_t c = 0; c < head_dim; ++c) {
      float value = 0;
      for (int64_t j = 0; j < positions; ++j) value = fmaf(p[j], v[j * stride + c], value);
      const float gate = gates[w.gate == GateShape::kHeadWise ? head : head * head_dim + c];
      attended[token * d + head * head_dim + c] = value / (1.0f + expf(-gate)) / sum;
    }
  }
}

}  // namespace

Status GatedAttentionCuda(const GatedAttentionArgs& args) {
  const Status status = CheckGatedAttention(args);
  const int64_t d = args.w.out.out, tokens = args.rows * args.positions;
  if (!status.ok() || tokens * d == 0) return status;
  CudaCall call;
  GatedAttentionWeights w = args.w;
  w.project = UploadLinear(&call, args.w.project);
  w.out = UploadLinear(&call, args.w.out);
  w.norm = call.Upload(args.w.norm, d);
  float* x = call.Upload(args.x, tokens * d);
  float* normed = w.norm != nullptr ? call.Allocate<float>(tokens * d) : x;
  float* projected = call.Allocate<float>(tokens * w.project.out);
  float* scores = call.Allocate<float>(tokens * w.heads * args.positions);
  float* attended = call.Allocate<float>(tokens * d);
  float* y = call.Allocate<float>(tokens * d);
  if (!call.failed()) {
    if (w.norm != nullptr) LaunchRmsNorm({tokens, d, x, w.norm, w.eps, normed});
    LaunchLinear({w.project, tokens, normed, d, projected, w.project.out, nullptr});
    AttendKernel<<<CudaBlocks(tokens * w.heads), kCudaThreads>>>(w, args.rows, args.positions,
                                                                 projected, scores, attended);
    LaunchLinear({w.out, tokens, attended, d, y, d, w.residual ? x : nullptr});
  }
  call.Download(args.y, y, tokens * d);
  return call.Finish();
}

}  // namespace penstock::kernels
