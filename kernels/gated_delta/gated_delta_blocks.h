#pragma once

// For SIMD files, after simd_exp.h: both forms of gated_delta.

#include <cstdint>

#include "kernels/gated_delta/gated_delta.h"
#include "kernels/linear_attention/state_decay.h"
#include "kernels/linear_attention/state_tiles.h"

namespace penstock::kernels {
namespace {

// A shorter block is faster token after token.
constexpr int64_t kShortestDeltaChunk = 8;

// Scratch of one block; rows [kStateChunk][PaddedKeyDim], squares [kStateChunk][kStateChunk].
struct GatedDeltaScratch {
  float* q;           // normalised and scaled
  float* k;           // normalised
  float* q_start;     // q decayed from the block's start
  float* k_start;     // k decayed from the block's start, times beta
  float* k_end;       // k decayed to the block's end
  float* total;       // the block's decay, for every channel
  float* key_dots;    // k_i . k_j
  float* query_dots;  // q_i . k_j
  float* solve;       // beta_i (k_i . k_j) decay of j to i, j < i
  float* scores;      // (q_i . k_j) decay of j to i, j <= i
  float* values;
};

// The gates of a block of one value head; beyond the tokens decay 1 and beta 0.
struct DeltaGates {
  float decay[kStateChunk];
  float beta[kStateChunk];
  float start[kStateChunk];  // decay from the block's start, token included
  float end[kStateChunk];    // decay to the block's end, token excluded
};

// Rows divided by their length and times `scale`, in place.
void NormaliseRows(float* rows, int64_t stride, int64_t count, float scale) {
  for (int64_t t = 0; t < count; ++t) {
    float* row = rows + t * stride;
    Simd::V squares = Simd::Zero();
    for (int64_t c = 0; c < stride; c += Simd::kLanes) {
      const Simd::V x = Simd::Load(row + c);
      squares = Simd::Fma(x, x, squares);
    }
    const float length = __builtin_sqrtf(Simd::ReduceAdd(squares) + kDeltaNormEps);
    const Simd::V factor = Simd::Set(scale / length);
    for (int64_t c = 0; c < stride; c += Simd::kLanes) {
      Simd::Store(row + c, Simd::Mul(Simd::Load(row + c), factor));
    }
  }
}

// to[t] = rows[t] * factor[t].
void ScaleRows(const float* rows, const float* factor, int64_t stride, int64_t count, float* to) {
  for (int64_t t = 0; t < count; ++t) {
    const Simd::V s = Simd::Set(factor[t]);
    for (int64_t c = 0; c < stride; c += Simd::kLanes) {
      Simd::Store(to + t * stride + c, Simd::Mul(s, Simd::Load(rows + t * stride + c)));
    }
  }
}

void LoadGates(const GatedDeltaArgs& args, int64_t first, int64_t tokens, int64_t head,
               DeltaGates* gates) {
  for (int64_t t = 0; t < kStateChunk; ++t) {
    const int64_t at = (first + t) * args.value_heads + head;
    gates->decay[t] = t < tokens ? args.g[at] : 0;
    gates->beta[t] = t < tokens ? args.beta[at] : 0;
  }
  for (int64_t t = 0; t < kStateChunk; t += Simd::kLanes) {
    Simd::Store(gates->decay + t, Decay(Simd::Load(gates->decay + t)));
  }
}

// Lower triangle of rows . k^T, halves at a time.
void TriangleDots(const float* rows, const float* k, int64_t stride, int64_t tokens, float* out) {
  const int64_t half = kStateChunk / 2;
  Dots8x8(rows, k, stride, out, kStateChunk);
  if (tokens <= half) return;
  Dots8x8(rows + half * stride, k, stride, out + half * kStateChunk, kStateChunk);
  Dots8x8(rows + half * stride, k + half * stride, stride, out + half * kStateChunk + half,
          kStateChunk);
}

// Everything that depends on the gates but not on the values. Decays are running products of
// factors of at most 1: nothing overflows.
void PrepareChunk(DeltaGates* gates, int64_t tokens, int64_t stride, const GatedDeltaScratch& s) {
  float product = 1;
  float beta_start[kStateChunk];
  for (int64_t i = 0; i < kStateChunk; ++i) {
    product *= gates->decay[i];
    gates->start[i] = product;
    beta_start[i] = gates->beta[i] * product;
  }
  for (int64_t j = 0; j < tokens; ++j) {
    float decay = 1;
    s.scores[j * kStateChunk + j] = s.query_dots[j * kStateChunk + j];
    for (int64_t i = j + 1; i < tokens; ++i) {
      decay *= gates->decay[i];
      const int64_t at = i * kStateChunk + j;
      s.solve[at] = gates->beta[i] * (s.key_dots[at] * decay);
      s.scores[at] = s.query_dots[at] * decay;
    }
    gates->end[j] = decay;
  }
  for (int64_t c = 0; c < stride; ++c) s.total[c] = product;
  ScaleRows(s.q, gates->start, stride, tokens, s.q_start);
  ScaleRows(s.k, beta_start, stride, tokens, s.k_start);
  ScaleRows(s.k, gates->end, stride, tokens, s.k_end);
}

// Rows `row`... of values = beta v - k_start S.
template <int kRows, int kPanels>
[[gnu::noinline]] void ResidualTile(const StateBlock& b, const float* k_start, const float* beta,
                                    int64_t row) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  Simd::V acc[kRows][kVecs];
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) acc[r][v] = Simd::Zero();
  }
  AddProduct<kRows, kPanels>(k_start + row * b.stride, b.stride, b.key_dim, b.state,
                             b.key_dim * kPanelColumns, acc);
  PENSTOCK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const Simd::V factor = Simd::Set(beta[row + r]);
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      float* at = b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns +
                  (row + r) * kPanelColumns + v % kStatePanelVecs * Simd::kLanes;
      Simd::Store(at, Simd::Sub(Simd::Mul(factor, Simd::Load(at)), acc[r][v]));
    }
  }
}

template <int kRows, int kPanels>
void ResidualRest(const StateBlock& b, const float* k_start, const float* beta, int64_t row) {
  if constexpr (kRows > 0) {
    if (b.tokens - row == kRows) return ResidualTile<kRows, kPanels>(b, k_start, beta, row);
    ResidualRest<kRows - 1, kPanels>(b, k_start, beta, row);
  }
}

// values = (I + solve)^-1 values by forward substitution: row i less the rows j < i.
template <int kPanels>
[[gnu::noinline]] void Substitute(const StateBlock& b, const float* solve) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  for (int64_t i = 1; i < b.tokens; ++i) {
    Simd::V acc[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      acc[v] = Simd::Load(b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns +
                          i * kPanelColumns + v % kStatePanelVecs * Simd::kLanes);
    }
    for (int64_t j = 0; j < i; ++j) {
      const Simd::V factor = Simd::Set(-solve[i * kStateChunk + j]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        const float* at = b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns +
                          j * kPanelColumns + v % kStatePanelVecs * Simd::kLanes;
        acc[v] = Simd::Fma(factor, Simd::Load(at), acc[v]);
      }
    }
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      Simd::Store(b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns + i * kPanelColumns +
                      v % kStatePanelVecs * Simd::kLanes,
                  acc[v]);
    }
  }
}

template <int kPanels>
void DeltaChunk(const StateBlock& b, const GatedDeltaScratch& s, const float* beta) {
  int64_t row = 0;
  for (; row + kStateTileRows <= b.tokens; row += kStateTileRows) {
    ResidualTile<kStateTileRows, kPanels>(b, s.k_start, beta, row);
  }
  ResidualRest<kStateTileRows - 1, kPanels>(b, s.k_start, beta, row);
  Substitute<kPanels>(b, s.solve);
  OutputAndUpdate<kPanels>(b);
}

// Token after token over kPanels panels. S^T k and S^T q are read together before the update:
// y = a S^T q + (q . k) u.
template <int kPanels>
[[gnu::noinline]] void DeltaTokens(const StateBlock& b, const DeltaGates& gates,
                                   const float* query_dots) {
  constexpr int kVecs = kPanels * kStatePanelVecs;
  const int64_t panel_floats = b.key_dim * kPanelColumns;
  for (int64_t t = 0; t < b.tokens; ++t) {
    const float* q = b.q + t * b.stride;
    const float* k = b.k + t * b.stride;
    Simd::V predicted[kVecs], read[kVecs], u[kVecs];
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) predicted[v] = read[v] = Simd::Zero();
    const float* from = b.state;
    for (int64_t c = 0; c < b.key_dim; ++c) {
      const Simd::V kc = Simd::Set(k[c]), qc = Simd::Set(q[c]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        const Simd::V s = Simd::Load(from + v / kStatePanelVecs * panel_floats +
                                     v % kStatePanelVecs * Simd::kLanes);
        predicted[v] = Simd::Fma(kc, s, predicted[v]);
        read[v] = Simd::Fma(qc, s, read[v]);
      }
      from += kPanelColumns;
    }
    const Simd::V decay = Simd::Set(gates.decay[t]), beta = Simd::Set(gates.beta[t]);
    const Simd::V dot = Simd::Set(query_dots[t]);
    float* y = b.y + t * b.y_stride;
    PENSTOCK_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      const Simd::V value =
          Simd::Load(b.values + v / kStatePanelVecs * kStateChunk * kPanelColumns +
                     t * kPanelColumns + v % kStatePanelVecs * Simd::kLanes);
      u[v] = Simd::Mul(beta, Simd::Sub(value, Simd::Mul(decay, predicted[v])));
      StoreStateColumns(y, b.columns, v, Simd::Fma(dot, u[v], Simd::Mul(decay, read[v])));
    }
    float* state = b.state;
    for (int64_t c = 0; c < b.key_dim; ++c) {
      const Simd::V kc = Simd::Set(k[c]);
      // All loads before all stores, as in linear_attention.
      Simd::V s[kVecs];
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        s[v] = Simd::Load(state + v / kStatePanelVecs * panel_floats +
                          v % kStatePanelVecs * Simd::kLanes);
      }
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) s[v] = Simd::Fma(kc, u[v], Simd::Mul(decay, s[v]));
      PENSTOCK_UNROLL
      for (int v = 0; v < kVecs; ++v) {
        Simd::Store(state + v / kStatePanelVecs * panel_floats + v % kStatePanelVecs * Simd::kLanes,
                    s[v]);
      }
      state += kPanelColumns;
    }
  }
}

// One value head of a block whose keys and queries are prepared.
void DeltaHead(const GatedDeltaArgs& args, int64_t first, int64_t tokens, int64_t head, bool chunk,
               float* state, const GatedDeltaScratch& s, const float* own_dots) {
  const int64_t dk = args.key_dim, dv = args.value_dim, stride = PaddedKeyDim(dk);
  const int64_t values = (first * args.value_heads + head) * dv;
  const int64_t value_stride = args.value_heads * dv;
  DeltaGates gates;
  LoadGates(args, first, tokens, head, &gates);
  StateBlock b = {dk,     stride, s.q,      s.k,     s.total,      s.scores,
                  tokens, state,  s.values, nullptr, value_stride, 0};
  if (chunk) {
    PrepareChunk(&gates, tokens, stride, s);
    b.q = s.q_start;
    b.k = s.k_end;
  }
  for (int64_t column = 0; column < dv;) {
    const int64_t panels = StateGroup(dv - column, chunk);
    b.columns = dv - column < panels * kPanelColumns ? dv - column : panels * kPanelColumns;
    b.y = args.y + values + column;
    PackStateValues(args.v + values + column, value_stride, tokens, b.columns, s.values);
    if (chunk) {
      panels == 1 ? DeltaChunk<1>(b, s, gates.beta)
                  : DeltaChunk<kStateTilePanels>(b, s, gates.beta);
    } else {
      panels == 1   ? DeltaTokens<1>(b, gates, own_dots)
      : panels == 2 ? DeltaTokens<2>(b, gates, own_dots)
                    : DeltaTokens<kRecurrentPanels>(b, gates, own_dots);
    }
    b.state += panels * dk * kPanelColumns;
    column += panels * kPanelColumns;
  }
}

// One block of up to kStateChunk tokens: a key head and the value heads that share it.
void DeltaBlock(const GatedDeltaArgs& args, int64_t first, int64_t tokens, int64_t key_head,
                float scale, float* state, const GatedDeltaScratch& s) {
  const int64_t dk = args.key_dim, stride = PaddedKeyDim(dk);
  const int64_t group = args.value_heads / args.key_heads;
  const int64_t keys = (first * args.key_heads + key_head) * dk, key_stride = args.key_heads * dk;
  const bool chunk = args.form == StateForm::kChunkwise ||
                     (args.form == StateForm::kAuto && tokens >= kShortestDeltaChunk);
  const int64_t rows = chunk ? kStateChunk : tokens;
  CopyStateRows(args.q + keys, key_stride, tokens, dk, args.normalise ? 1.0f : scale, s.q, stride,
                rows);
  CopyStateRows(args.k + keys, key_stride, tokens, dk, 1.0f, s.k, stride, rows);
  if (args.normalise) {
    NormaliseRows(s.q, stride, tokens, scale);
    NormaliseRows(s.k, stride, tokens, 1.0f);
  }
  float own_dots[kStateChunk] = {};
  if (chunk) {
    TriangleDots(s.k, s.k, stride, tokens, s.key_dots);
    TriangleDots(s.q, s.k, stride, tokens, s.query_dots);
  } else {
    for (int64_t t = 0; t < tokens; ++t) {
      Simd::V sum = Simd::Zero();
      for (int64_t c = 0; c < stride; c += Simd::kLanes) {
        sum = Simd::Fma(Simd::Load(s.q + t * stride + c), Simd::Load(s.k + t * stride + c), sum);
      }
      own_dots[t] = Simd::ReduceAdd(sum);
    }
  }
  for (int64_t i = 0; i < group; ++i) {
    DeltaHead(args, first, tokens, key_head * group + i, chunk,
              state + i * StateFloats(dk, args.value_dim), s, own_dots);
  }
}

Status GatedDeltaBlocks(const GatedDeltaArgs& args) {
  const Status status = CheckGatedDelta(args);
  if (status.code != Code::kOk || args.value_dim == 0 || args.value_heads == 0) return status;
  const int64_t rows = kStateChunk * PaddedKeyDim(args.key_dim);
  const float scale =
      args.scale != 0 ? args.scale : 1.0f / __builtin_sqrtf(static_cast<float>(args.key_dim));
  char* at = WorkspaceStart(args.workspace);
  GatedDeltaScratch s = {};
  for (float** part : {&s.q, &s.k, &s.q_start, &s.k_start, &s.k_end}) *part = TakeFloats(&at, rows);
  s.total = TakeFloats(&at, PaddedKeyDim(args.key_dim));
  for (float** part : {&s.key_dots, &s.query_dots, &s.solve, &s.scores}) {
    *part = TakeFloats(&at, kStateChunk * kStateChunk);
  }
  s.values = TakeFloats(&at, kStateGroup * kStateChunk * kPanelColumns);
  const int64_t group_floats =
      args.value_heads / args.key_heads * StateFloats(args.key_dim, args.value_dim);
  for (int64_t sequence = 0; sequence < args.sequences; ++sequence) {
    const int64_t end = args.offsets[sequence + 1];
    for (int64_t head = 0; head < args.key_heads; ++head) {
      float* state = args.state + (sequence * args.key_heads + head) * group_floats;
      for (int64_t t = args.offsets[sequence]; t < end; t += kStateChunk) {
        const int64_t tokens = end - t < kStateChunk ? end - t : kStateChunk;
        DeltaBlock(args, t, tokens, head, scale, state, s);
      }
    }
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
