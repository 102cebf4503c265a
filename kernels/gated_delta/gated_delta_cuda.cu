#include "kernels/device/cuda_buffer.cuh"
#include "kernels/gated_delta/gated_delta.h"

namespace penstock::kernels {
namespace {

// What a head's vector is multiplied with: 1 over its length where `normalise`.
__device__ float Factor(const float* x, int64_t dim, bool normalise) {
  if (!normalise) return 1;
  float squares = kDeltaNormEps;
  for (int64_t c = 0; c < dim; ++c) squares = fmaf(x[c], x[c], squares);
  return 1.0f / sqrtf(squares);
}

// One thread a (sequence, value head, column of the state), token after token: the recurrent form,
// whatever args.form.
__global__ void GatedDeltaKernel(GatedDeltaArgs a, int64_t state_floats) {
  const int64_t dk = a.key_dim, dv = a.value_dim, group = a.value_heads / a.key_heads;
  for (int64_t i = CudaIndex(); i < a.sequences * a.value_heads * dv; i += CudaStride()) {
    const int64_t column = i % dv, head = i / dv % a.value_heads, sequence = i / dv / a.value_heads;
    // The thread's column: StateIndex(dk, c, column) is c * kPanelColumns from here.
    float* state = a.state + (sequence * a.value_heads + head) * state_floats +
                   column / kPanelColumns * dk * kPanelColumns + column % kPanelColumns;
    for (int64_t t = a.offsets[sequence]; t < a.offsets[sequence + 1]; ++t) {
      const int64_t at = t * a.value_heads + head;
      const float* q = a.q + (t * a.key_heads + head / group) * dk;
      const float* k = a.k + (t * a.key_heads + head / group) * dk;
      const float q_factor = a.scale * Factor(q, dk, a.normalise);
      const float k_factor = Factor(k, dk, a.normalise);
      const float decay = a.g[at] <= kForgetGate ? 0.0f : expf(a.g[at]);
      float predicted = 0;
      for (int64_t c = 0; c < dk; ++c) {
        predicted = fmaf(k[c] * k_factor, state[c * kPanelColumns], predicted);
      }
      const float u = a.beta[at] * (a.v[at * dv + column] - decay * predicted);
      float y = 0;
      for (int64_t c = 0; c < dk; ++c) {
        float* s = state + c * kPanelColumns;
        *s = fmaf(k[c] * k_factor, u, decay * *s);
        y = fmaf(q[c] * q_factor, *s, y);
      }
      a.y[at * dv + column] = y;
    }
  }
}

}  // namespace

Status GatedDeltaCuda(const GatedDeltaArgs& args) {
  const Status status = CheckGatedDelta(args);
  const int64_t dk = args.key_dim, dv = args.value_dim;
  if (!status.ok() || args.sequences * args.value_heads * dv == 0) return status;
  // Tokens outside the offsets keep what y holds: only the span between is copied.
  const int64_t first = args.offsets[0], last = args.offsets[args.sequences];
  if (first == last) return status;
  const int64_t keys = args.key_heads * dk, values = args.value_heads * dv;
  const int64_t states = args.sequences * args.value_heads * StateFloats(dk, dv);
  CudaCall call;
  GatedDeltaArgs a = args;
  if (a.scale == 0) a.scale = 1.0f / sqrtf(static_cast<float>(dk));
  a.offsets = call.Upload(args.offsets, args.sequences + 1);
  a.q = call.Upload(args.q, last * keys);
  a.k = call.Upload(args.k, last * keys);
  a.v = call.Upload(args.v, last * values);
  a.g = call.Upload(args.g, last * args.value_heads);
  a.beta = call.Upload(args.beta, last * args.value_heads);
  a.state = call.Upload(args.state, states);
  a.y = call.Allocate<float>(last * values);
  if (!call.failed()) {
    GatedDeltaKernel<<<CudaBlocks(args.sequences * values), kCudaThreads>>>(a, StateFloats(dk, dv));
  }
  call.Download(args.y + first * values, a.y + first * values, (last - first) * values);
  call.Download(args.state, a.state, states);
  return call.Finish();
}

}  // namespace penstock::kernels
