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
constexpr int kSubBlock = 4;
constexpr int kSubBlocks = static_cast<int>(kStateChunk) / kSubBlock;
static_assert(kSubBlocks * kSubBlock == kStateChunk);

// Columns of a square of scores whose sums fit the registers together.
constexpr int kScoreColumns = Simd::kLanes == 8 ? 2 : 4;

// A shorter block is faster token after token.
constexpr int64_t kShortestChunk = Simd::kLanes == 8 ? 12 : 8;

// Scratch of one block; rows [kStateChunk][PaddedKeyDim].
struct LinearAttentionScratch {
  float* q;      // scaled; chunkwise: decayed from the block's start
  float* k;      // chunkwise: decayed to the block's end
  float* decay;  // exp(g); chunkwise: of each sub-block, [kSubBlocks]
  float* total;  // the block's decay
  float* zeros;  // a row for tokens that do not exist
  float* scores;
  float* values;
};

// exp(g) of `tokens` rows, beyond dim 1.
void DecayRows(const float* g, int64_t g_stride, int64_t tokens, int64_t dim, float* rows,
               int64_t stride) {
  const Simd::V one = Simd::Set(1.0f);
  for (int64_t t = 0; t < tokens; ++t) {
    const float* at = g + t * g_stride;
    float* to = rows + t * stride;
    int64_t i = 0;
    for (; i + Simd::kLanes <= dim; i += Simd::kLanes) {
      PrefetchStateRow(at + i + kStateChunk * g_stride);
      Simd::Store(to + i, Decay(Simd::Load(at + i)));
    }
    if (i < dim) {
      Simd::Store(to + i, Decay(Simd::LoadPart(at + i, dim - i, Simd::Zero())));
      i += Simd::kLanes;
    }
    for (; i < stride; i += Simd::kLanes) Simd::Store(to + i, one);
  }
}

template <typename S>
[[gnu::always_inline]] inline __m256 FoldTo8(typename S::V v) {
  if constexpr (S::kLanes == 8) {
    return v;
  } else {
    return _mm256_add_ps(S::Low(v), S::High(v));
  }
}

// The sums of four registers' lanes.
[[gnu::always_inline]] inline __m128 SumsOf4(Simd::V a, Simd::V b, Simd::V c, Simd::V d) {
  const __m256 ab = _mm256_hadd_ps(FoldTo8<Simd>(a), FoldTo8<Simd>(b));
  const __m256 cd = _mm256_hadd_ps(FoldTo8<Simd>(c), FoldTo8<Simd>(d));
  const __m256 all = _mm256_hadd_ps(ab, cd);
  return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

// Four tokens of the inputs and where they go.
struct SubBlock {
  const float* q[kSubBlock];
  const float* k[kSubBlock];
  const float* g[kSubBlock];
  float* q_start;  // scaled q, decayed from the sub-block's start: [kSubBlock][stride]
  float* k_end;    // k, decayed to its end
  float* total;    // its decay
  int64_t ahead;   // floats to the same token of the next block
};

// Row i of the sums begins at i (i + 1) / 2.
constexpr int kTriangle = kSubBlock * (kSubBlock + 1) / 2;

// `left` < kLanes: the last channels.
template <bool kPart>
[[gnu::always_inline]] inline void SubBlockChannels(const SubBlock& b, int64_t c, int64_t left,
                                                    int64_t stride, Simd::V scale,
                                                    Simd::V (&sums)[kTriangle]) {
  const auto load = [&](const float* row) __attribute__((always_inline)) {
    if constexpr (kPart) {
      return Simd::LoadPart(row + c, left, Simd::Zero());
    } else {
      return Simd::Load(row + c);
    }
  };
  Simd::V a[kSubBlock];
  PENSTOCK_UNROLL
  for (int i = 0; i < kSubBlock; ++i) {
    PrefetchStateRow(b.q[i] + c + b.ahead);
    PrefetchStateRow(b.k[i] + c + b.ahead);
    PrefetchStateRow(b.g[i] + c + b.ahead);
    a[i] = Decay(load(b.g[i]));
  }
  Simd::V k[kSubBlock];
  PENSTOCK_UNROLL
  for (int i = 0; i < kSubBlock; ++i) k[i] = load(b.k[i]);
  PENSTOCK_UNROLL
  for (int i = 0; i < kSubBlock; ++i) {
    Simd::V q = Simd::Mul(scale, load(b.q[i]));
    PENSTOCK_UNROLL
    for (int j = i; j >= 0; --j) {
      Simd::V& sum = sums[i * (i + 1) / 2 + j];
      sum = Simd::Fma(q, k[j], sum);
      q = Simd::Mul(q, a[j]);
    }
    Simd::Store(b.q_start + i * stride + c, q);
  }
  Simd::V rest = a[kSubBlock - 1];
  Simd::Store(b.k_end + (kSubBlock - 1) * stride + c, k[kSubBlock - 1]);
  PENSTOCK_UNROLL
  for (int i = kSubBlock - 2; i >= 0; --i) {
    Simd::Store(b.k_end + i * stride + c, Simd::Mul(k[i], rest));
    rest = Simd::Mul(rest, a[i]);
  }
  Simd::Store(b.total + c, rest);
}

// A sub-block's rows decayed to its edges, and its own triangle of scores:
// scores[i][j] = sum_c q_ic k_jc prod_{j < l <= i} a_lc.
[[gnu::noinline]] void DecayToEdges(const SubBlock& b, int64_t dim, int64_t stride, float scale,
                                    float* scores) {
  const Simd::V factor = Simd::Set(scale), zero = Simd::Zero();
  Simd::V s[kTriangle];
  PENSTOCK_UNROLL
  for (int i = 0; i < kTriangle; ++i) s[i] = zero;
  int64_t c = 0;
  for (; c + Simd::kLanes <= dim; c += Simd::kLanes) {
    SubBlockChannels<false>(b, c, 0, stride, factor, s);
  }
  for (; c < stride; c += Simd::kLanes) {
    SubBlockChannels<true>(b, c, dim > c ? dim - c : 0, stride, factor, s);
  }
  _mm_storeu_ps(scores, SumsOf4(s[0], zero, zero, zero));
  _mm_storeu_ps(scores + kStateChunk, SumsOf4(s[1], s[2], zero, zero));
  _mm_storeu_ps(scores + 2 * kStateChunk, SumsOf4(s[3], s[4], s[5], zero));
  _mm_storeu_ps(scores + 3 * kStateChunk, SumsOf4(s[6], s[7], s[8], s[9]));
}

// Scores of a sub-block's q with an earlier one's k; kDecayed: k goes on to decay by `decay` first,
// the sub-block that lies between.
template <bool kDecayed>
[[gnu::noinline]] void Square(const float* q, float* k, const float* decay, int64_t stride,
                              float* scores) {
  for (int column = 0; column < kSubBlock; column += kScoreColumns) {
    float* rows = k + column * stride;
    Simd::V s[kSubBlock][kScoreColumns];
    PENSTOCK_UNROLL
    for (int i = 0; i < kSubBlock; ++i) {
      PENSTOCK_UNROLL
      for (int j = 0; j < kScoreColumns; ++j) s[i][j] = Simd::Zero();
    }
    for (int64_t c = 0; c < stride; c += Simd::kLanes) {
      Simd::V right[kScoreColumns];
      PENSTOCK_UNROLL
      for (int j = 0; j < kScoreColumns; ++j) {
        right[j] = Simd::Load(rows + j * stride + c);
        if constexpr (kDecayed) {
          right[j] = Simd::Mul(right[j], Simd::Load(decay + c));
          Simd::Store(rows + j * stride + c, right[j]);
        }
      }
      PENSTOCK_UNROLL
      for (int i = 0; i < kSubBlock; ++i) {
        const Simd::V left = Simd::Load(q + i * stride + c);
        PENSTOCK_UNROLL
        for (int j = 0; j < kScoreColumns; ++j) s[i][j] = Simd::Fma(left, right[j], s[i][j]);
      }
    }
    if constexpr (kScoreColumns == 4) {
      PENSTOCK_UNROLL
      for (int i = 0; i < kSubBlock; ++i) {
        _mm_storeu_ps(scores + i * kStateChunk, SumsOf4(s[i][0], s[i][1], s[i][2], s[i][3]));
      }
    } else {
      PENSTOCK_UNROLL
      for (int i = 0; i < kSubBlock; i += 2) {
        const __m128 sums = SumsOf4(s[i][0], s[i][1], s[i + 1][0], s[i + 1][1]);
        float* to = scores + i * kStateChunk + column;
        _mm_storel_pi(reinterpret_cast<__m64*>(to), sums);
        _mm_storeh_pi(reinterpret_cast<__m64*>(to + kStateChunk), sums);
      }
    }
  }
}

// From the edges of the `count` sub-blocks to those of the block.
[[gnu::noinline]] void DecayToBlock(int64_t count, int64_t stride,
                                    const LinearAttentionScratch& s) {
  const int64_t rows = kSubBlock * stride;
  for (int64_t c = 0; c < stride; c += Simd::kLanes) {
    const Simd::V last = Simd::Load(s.decay + (count - 1) * stride + c);
    Simd::V start = Simd::Load(s.decay + c);
    for (int64_t block = 1; block < count; ++block) {
      float* q = s.q + block * rows + c;
      float* k = s.k + (block - 1) * rows + c;
      PENSTOCK_UNROLL
      for (int i = 0; i < kSubBlock; ++i) {
        Simd::Store(q + i * stride, Simd::Mul(Simd::Load(q + i * stride), start));
        Simd::Store(k + i * stride, Simd::Mul(Simd::Load(k + i * stride), last));
      }
      start = Simd::Mul(start, Simd::Load(s.decay + block * stride + c));
    }
    Simd::Store(s.total + c, start);
  }
}

// q, k and decays of a block for its three products, and its scores.
void PrepareChunk(const float* q, const float* k, const float* g, int64_t row_stride,
                  int64_t tokens, int64_t dim, float scale, int64_t stride,
                  const LinearAttentionScratch& s) {
  const int64_t count = (tokens + kSubBlock - 1) / kSubBlock;
  if (count * kSubBlock > tokens) {
    for (int64_t c = 0; c < dim; ++c) s.zeros[c] = 0;
  }
  for (int64_t block = 0; block < count; ++block) {
    const int64_t first = block * kSubBlock;
    SubBlock b;
    for (int i = 0; i < kSubBlock; ++i) {
      const bool exists = first + i < tokens;
      const int64_t at = (first + i) * row_stride;
      b.q[i] = exists ? q + at : s.zeros;
      b.k[i] = exists ? k + at : s.zeros;
      b.g[i] = exists ? g + at : s.zeros;
    }
    b.q_start = s.q + first * stride;
    b.k_end = s.k + first * stride;
    b.total = s.decay + block * stride;
    b.ahead = kStateChunk * row_stride;
    float* scores = s.scores + first * kStateChunk;
    DecayToEdges(b, dim, stride, scale, scores + first);
    for (int64_t earlier = 0; earlier < block; ++earlier) {
      float* keys = s.k + earlier * kSubBlock * stride;
      float* to = scores + earlier * kSubBlock;
      if (earlier + 1 == block) {
        Square<false>(b.q_start, keys, nullptr, stride, to);
      } else {
        Square<true>(b.q_start, keys, b.total - stride, stride, to);
      }
    }
  }
  DecayToBlock(count, stride, s);
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
  if (chunk) {
    PrepareChunk(args.q + keys, args.k + keys, args.g + keys, key_stride, tokens, dk, scale, stride,
                 s);
  } else {
    CopyStateRows(args.q + keys, key_stride, tokens, dk, scale, s.q, stride, tokens);
    CopyStateRows(args.k + keys, key_stride, tokens, dk, 1.0f, s.k, stride, tokens);
    DecayRows(args.g + keys, key_stride, tokens, dk, s.decay, stride);
  }
  StateBlock b = {dk,     stride, s.q,      s.k,     s.total,      s.scores,
                  tokens, state,  s.values, nullptr, value_stride, 0};
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
  for (float** part : {&s.q, &s.k, &s.decay}) *part = TakeFloats(&at, rows);
  s.total = TakeFloats(&at, PaddedKeyDim(args.key_dim));
  s.zeros = TakeFloats(&at, PaddedKeyDim(args.key_dim));
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
