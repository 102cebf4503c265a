#include "kernels/device/cuda_buffer.cuh"
#include "kernels/linear_attention/linear_attention.h"

namespace penstock::kernels {
namespace {

// One thread a (sequence, head, column of the state), token after token: the recurrent form,
// whatever args.form.
__global__ void LinearAttentionKernel(LinearAttentionArgs a, int64_t state_floats) {
  const int64_t dk = a.key_dim, dv = a.value_dim;
  for (int64_t i = CudaIndex(); i < a.sequences * a.heads * dv; i += CudaStride()) {
    const int64_t column = i % dv, head = i / dv % a.heads, sequence = i / dv / a.heads;
    // The thread's column: StateIndex(dk, c, column) is c * kPanelColumns from here.
    float* state = a.state + (sequence * a.heads + head) * state_floats +
                   column / kPanelColumns * dk * kPanelColumns + column % kPanelColumns;
    for (int64_t t = a.offsets[sequence]; t < a.offsets[sequence + 1]; ++t) {
      const int64_t at = t * a.heads + head;
      const float v = a.v[at * dv + column];
      float y = 0;
      for (int64_t c = 0; c < dk; ++c) {
        float* s = state + c * kPanelColumns;
        const float g = a.g[at * dk + c];
        const float decay = g <= kForgetGate ? 0.0f : expf(g);
        *s = fmaf(decay, *s, a.k[at * dk + c] * v);
        y = fmaf(a.scale * a.q[at * dk + c], *s, y);
      }
      a.y[at * dv + column] = y;
    }
  }
}

}  // namespace

Status LinearAttentionCuda(const LinearAttentionArgs& args) {
  const Status status = CheckLinearAttention(args);
  const int64_t dk = args.key_dim, dv = args.value_dim;
  if (!status.ok() || args.sequences * args.heads * dv == 0) return status;
  // Tokens outside the offsets keep what y holds: only the span between is copied.
  const int64_t first = args.offsets[0], last = args.offsets[args.sequences];
  if (first == last) return status;
  const int64_t keys = args.heads * dk, values = args.heads * dv;
  const int64_t states = args.sequences * args.heads * StateFloats(dk, dv);
  CudaCall call;
  LinearAttentionArgs a = args;
  if (a.scale == 0) a.scale = 1.0f / sqrtf(static_cast<float>(dk));
  a.offsets = call.Upload(args.offsets, args.sequences + 1);
  a.q = call.Upload(args.q, last * keys);
  a.k = call.Upload(args.k, last * keys);
  a.v = call.Upload(args.v, last * values);
  a.g = call.Upload(args.g, last * keys);
  a.state = call.Upload(args.state, states);
  a.y = call.Allocate<float>(last * values);
  if (!call.failed()) {
    LinearAttentionKernel<<<CudaBlocks(args.sequences * values), kCudaThreads>>>(
        a, StateFloats(dk, dv));
  }
  call.Download(args.y + first * values, a.y + first * values, (last - first) * values);
  call.Download(args.state, a.state, states);
  return call.Finish();
}

}  // namespace penstock::kernels
