#pragma once

// For SIMD files, after simd_exp.h: both forms of linear_attention.

#include <cstdint>

#include "kernels/linear_attention/linear_attention.h"
#include "kernels/linear_attention/state_decay.h"
#include "kernels/linear_attention/state_tiles.h"

namespace penstock::kernels {
namespace {

// Tokens of a sub-block. Decays inside a block are products of at most 16 factors exp(g), each at
// most 1, so nothing overflows, however strong the gates; a quotient exp(b_i) / exp(b_j) would.
constexpr int kSubBlock = 8;
static_assert(2 * kSubBlock == kStateChunk);

// A shorter block is faster token after token.
constexpr int64_t kShortestChunk = Simd::kLanes == 8 ? 12 : 8;

// Scratch of one block; rows [kStateChunk][PaddedKeyDim].
struct LinearAttentionScratch {
  float* q;  // scaled
  float* k;
  float* decay;    // exp(g)
  float* q_start;  // q decayed from the block's start
  float* k_end;    // k decayed to the block's end
  float* q_half;   // the second sub-block's q, decayed from its start: [kSubBlock]
  float* k_half;   // the first sub-block's k, decayed to its end: [kSubBlock]
  float* total;    // the block's decay
  float* scores;
  float* values;
};

// exp(g) of `tokens` rows as the first of `count`; the rest, and beyond key_dim, 1.
void DecayRows(const float* g, int64_t g_stride, int64_t tokens, int64_t dim, float* rows,
               int64_t stride, int64_t count) {
  const Simd::V one = Simd::Set(1.0f);
  for (int64_t t = 0; t < count; ++t) {
    const float* at = g + t * g_stride;
    float* to = rows + t * stride;
    int64_t i = 0;
    if (t < tokens) {
      for (; i + Simd::kLanes <= dim; i += Simd::kLanes) {
        PrefetchStateRow(at + i + kStateChunk * g_stride);
        Simd::Store(to + i, Decay(Simd::Load(at + i)));
      }
      if (i < dim) {
        Simd::Store(to + i, Decay(Simd::LoadPart(at + i, dim - i, Simd::Zero())));
        i += Simd::kLanes;
      }
    }
    for (; i < stride; i += Simd::kLanes) Simd::Store(to + i, one);
  }
}

// q and k decayed from and to the edges of the block and of its halves.
void DecayToEdges(int64_t stride, const LinearAttentionScratch& s) {
  for (int64_t c = 0; c < stride; c += Simd::kLanes) {
    const float* q = s.q + c;
    const float* k = s.k + c;
    const float* a = s.decay + c;
    Simd::V first = Simd::Set(1.0f), second = first;
    PENSTOCK_UNROLL
    for (int i = 0; i < kSubBlock; ++i) {
      first = Simd::Mul(first, Simd::Load(a + i * stride));
      Simd::Store(s.q_start + i * stride + c, Simd::Mul(Simd::Load(q + i * stride), first));
    }
    PENSTOCK_UNROLL
    for (int i = 0; i < kSubBlock; ++i) {
      second = Simd::Mul(second, Simd::Load(a + (kSubBlock + i) * stride));
      const Simd::V half = Simd::Mul(Simd::Load(q + (kSubBlock + i) * stride), second);
      Simd::Store(s.q_half + i * stride + c, half);
      Simd::Store(s.q_start + (kSubBlock + i) * stride + c, Simd::Mul(half, first));
    }
    Simd::Store(s.total + c, Simd::Mul(first, second));
    Simd::V rest = Simd::Set(1.0f);
    PENSTOCK_UNROLL
    for (int i = kSubBlock - 1; i >= 0; --i) {
      const Simd::V half = Simd::Mul(Simd::Load(k + i * stride), rest);
      Simd::Store(s.k_half + i * stride + c, half);
      Simd::Store(s.k_end + i * stride + c, Simd::Mul(half, second));
      rest = Simd::Mul(rest, Simd::Load(a + i * stride));
    }
    rest = Simd::Set(1.0f);
    PENSTOCK_UNROLL
    for (int i = kStateChunk - 1; i >= kSubBlock; --i) {
      Simd::Store(s.k_end + i * stride + c, Simd::Mul(Simd::Load(k + i * stride), rest));
      rest = Simd::Mul(rest, Simd::Load(a + i * stride));
    }
  }
}

// Row kRow of a sub-block's own triangle: scores[j] = sum_c q_c k_jc prod_{j < l <= kRow} a_lc.
template <int kRow>
[[gnu::noinline]] void TriangleRow(const float* q, const float* k, const float* a, int64_t stride,
                                   float* scores) {
  Simd::V acc[kRow + 1];
  PENSTOCK_UNROLL
  for (int j = 0; j <= kRow; ++j) acc[j] = Simd::Zero();
  for (int64_t c = 0; c < stride; c += Simd::kLanes) {
    Simd::V decayed = Simd::Load(q + kRow * stride + c);
    PENSTOCK_UNROLL
    for (int j = kRow; j >= 0; --j) {
      acc[j] = Simd::Fma(decayed, Simd::Load(k + j * stride + c), acc[j]);
      if (j > 0) decayed = Simd::Mul(decayed, Simd::Load(a + j * stride + c));
    }
  }
  PENSTOCK_UNROLL
  for (int j = 0; j <= kRow; ++j) scores[j] = Simd::ReduceAdd(acc[j]);
}

void Triangle(const float* q, const float* k, const float* a, int64_t stride, float* scores) {
  TriangleRow<0>(q, k, a, stride, scores);
  TriangleRow<1>(q, k, a, stride, scores + kStateChunk);
  TriangleRow<2>(q, k, a, stride, scores + 2 * kStateChunk);
  TriangleRow<3>(q, k, a, stride, scores + 3 * kStateChunk);
  TriangleRow<4>(q, k, a, stride, scores + 4 * kStateChunk);
  TriangleRow<5>(q, k, a, stride, scores + 5 * kStateChunk);
  TriangleRow<6>(q, k, a, stride, scores + 6 * kStateChunk);
  TriangleRow<7>(q, k, a, stride, scores + 7 * kStateChunk);
}

// Token after token over kPanels panels of the state.
template <int kPanels>
[[gnu::noinline]] void RecurrentTokens(const StateBlock& b, const float* decay) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  const int64_t panel_floats = b.key_dim * kPanelColumns;
  for (int64_t t = 0; t < b.tokens; ++t) {
    const float* q = b.q + t * b.stride;
    const float* k = b.k + t * b.stride;
    const float* a = decay + t * b.stride;
    float* state = b.state;
    Simd::V acc[kVecs], value[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      acc[v] = Simd::Zero();
      value[v] = Simd::Load(b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns +
                            t * kPanelColumns + v % kStatePanelVecs * Simd::kLanes);
    }
    for (int64_t c = 0; c < b.key_dim; ++c) {
      const Simd::V kc = Simd::Set(k[c]), ac = Simd::Set(a[c]), qc = Simd::Set(q[c]);
      // All loads before all stores: panels often lie a multiple of 4 KiB apart, where a load seems
      // to depend on the store just before it.
      Simd::V s[kVecs];
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        s[v] = Simd::Load(state + v / kStatePanelVecs * panel_floats +
                          v % kStatePanelVecs * Simd::kLanes);
      }
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        s[v] = Simd::Fma(ac, s[v], Simd::Mul(kc, value[v]));
        acc[v] = Simd::Fma(qc, s[v], acc[v]);
      }
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        Simd::Store(state + v / kStatePanelVecs * panel_floats + v % kStatePanelVecs * Simd::kLanes,
                    s[v]);
      }
      state += kPanelColumns;
    }
    float* y = b.y + t * b.y_stride;
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) StoreStateColumns(y, b.columns, v, acc[v]);
  }
}

// One block of up to kStateChunk tokens of one head.
void LinearAttentionBlock(const LinearAttentionArgs& args, int64_t first, int64_t tokens,
                          int64_t head, float scale, float* state,
                          const LinearAttentionScratch& s) {
  const int64_t dk = args.key_dim, dv = args.value_dim, stride = PaddedKeyDim(dk);
  const int64_t keys = (first * args.heads + head) * dk, key_stride = args.heads * dk;
  const int64_t values = (first * args.heads + head) * dv, value_stride = args.heads * dv;
  const bool chunk = args.form == StateForm::kChunkwise ||
                     (args.form == StateForm::kAuto && tokens >= kShortestChunk);
  const int64_t rows = chunk ? kStateChunk : tokens;
  CopyStateRows(args.q + keys, key_stride, tokens, dk, scale, s.q, stride, rows);
  CopyStateRows(args.k + keys, key_stride, tokens, dk, 1.0f, s.k, stride, rows);
  DecayRows(args.g + keys, key_stride, tokens, dk, s.decay, stride, rows);
  StateBlock b = {dk,     stride, s.q,      s.k,     s.total,      s.scores,
                  tokens, state,  s.values, nullptr, value_stride, 0};
  if (chunk) {
    DecayToEdges(stride, s);
    Triangle(s.q, s.k, s.decay, stride, s.scores);
    if (tokens > kSubBlock) {
      const int64_t half = kSubBlock * stride;
      Dots8x8(s.q_half, s.k_half, stride, s.scores + kSubBlock * kStateChunk, kStateChunk);
      Triangle(s.q + half, s.k + half, s.decay + half, stride,
               s.scores + kSubBlock * kStateChunk + kSubBlock);
    }
    b.q = s.q_start;
    b.k = s.k_end;
  }
  for (int64_t column = 0; column < dv;) {
    const int64_t panels = StateGroup(dv - column, chunk);
    b.columns = dv - column < panels * kPanelColumns ? dv - column : panels * kPanelColumns;
    b.y = args.y + values + column;
    PackStateValues(args.v + values + column, value_stride, tokens, b.columns, s.values);
    if (chunk) {
      panels == 1 ? OutputAndUpdate<1>(b) : OutputAndUpdate<kStateTilePanels>(b);
    } else {
      panels == 1   ? RecurrentTokens<1>(b, s.decay)
      : panels == 2 ? RecurrentTokens<2>(b, s.decay)
                    : RecurrentTokens<kRecurrentPanels>(b, s.decay);
    }
    b.state += panels * dk * kPanelColumns;
    column += panels * kPanelColumns;
  }
}

Status LinearAttentionBlocks(const LinearAttentionArgs& args) {
  const Status status = CheckLinearAttention(args);
  if (status.code != Code::kOk || args.value_dim == 0) return status;
  const int64_t rows = kStateChunk * PaddedKeyDim(args.key_dim);
  const float scale =
      args.scale != 0 ? args.scale : 1.0f / __builtin_sqrtf(static_cast<float>(args.key_dim));
  char* at = WorkspaceStart(args.workspace);
  LinearAttentionScratch s = {};
  for (float** part : {&s.q, &s.k, &s.decay, &s.q_start, &s.k_end, &s.q_half}) {
    *part = TakeFloats(&at, rows);
  }
  s.k_half = s.q_half + rows / 2;
  s.total = TakeFloats(&at, PaddedKeyDim(args.key_dim));
  s.scores = TakeFloats(&at, kStateChunk * kStateChunk);
  s.values = TakeFloats(&at, kStateGroup * kStateChunk * kPanelColumns);
  const int64_t state_floats = StateFloats(args.key_dim, args.value_dim);
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    const int64_t end = args.offsets[sequence + 1];
    for (int64_t head = 0; head < args.heads; ++head) {
      float* state = args.state + (sequence * args.heads + head) * state_floats;
      for (int64_t t = args.offsets[sequence]; t < end; t += kStateChunk) {
        const int64_t tokens = end - t < kStateChunk ? end - t : kStateChunk;
        LinearAttentionBlock(args, t, tokens, head, scale, state, s);
      }
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
