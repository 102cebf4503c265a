#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/route_topk/route_topk.h"
#include "kernels/route_topk/select_largest.h"

namespace penstock::kernels {
namespace {

// One row's working set, padded with -inf to a multiple of 16.
struct RouteRow {
  alignas(64) float logits[kMaxExperts];
  alignas(64) float scores[kMaxExperts];  // of a softmax until Normalise(): without the divisor
  alignas(64) float keys[kMaxExperts];    // what is compared; -inf = cannot be selected
  alignas(64) float ranks[kMaxExperts];   // of groups, -inf: nothing to select
  Candidates candidates;
  LaneMaxima maxima;  // of the logits, then of the keys
  float divisor;      // of the scores
};

// Selection by logit: of a softmax that no bias shifts.
[[gnu::always_inline]] inline bool ByLogit(const RouteTopKArgs& args) {
  return args.score == RouteScore::kSoftmax && args.bias == nullptr;
}

// Returns the largest logit.
float Sanitise(const RouteTopKArgs& args, const float* logits, int64_t padded, RouteRow* row) {
  const Simd::V lowest = Simd::Set(-__builtin_inff()), highest = Simd::Set(__FLT_MAX__);
  LaneMaxima maxima;  // not in the row: what is stored there might be what is read next
  for (Simd::V& lane : maxima.lane) lane = lowest;
  for (int64_t e = 0; e < padded; e += kScoreLanes) {
    PENSTOCK_UNROLL
    for (int lane = 0; lane < kScoreVecs; ++lane) {
      const int64_t at = e + lane * Simd::kLanes, n = args.experts - at;
      Simd::V v = lowest;
      if (n >= Simd::kLanes) {
        v = Simd::Load(logits + at);
      } else if (n > 0) {
        v = Simd::LoadPart(logits + at, n, lowest);
      }
      v = Simd::Min(Simd::IfNan(v, lowest), highest);
      Simd::Store(row->logits + at, v);
      maxima.lane[lane] = Simd::Max(maxima.lane[lane], v);
    }
  }
  if (args.available != nullptr) {
    for (int64_t e = 0; e < args.experts; ++e) {
      if (args.available[e] == 0) row->logits[e] = -__builtin_inff();
    }
    maxima = MaximaOf(row->logits, padded);
  }
  row->maxima = maxima;
  return Simd::ReduceMax(Simd::Max(maxima.lane[0], maxima.lane[kScoreVecs - 1]));
}

// log(1 + u), 0 <= u <= 1: with s = u / (2 + u) it is 2 (s + s^3/3 + ... + s^15/15), s <= 1/3.
[[gnu::always_inline]] inline Simd::V LogOnePlus(Simd::V u) {
  const Simd::V s = Simd::Div(u, Simd::Add(Simd::Set(2.0f), u));
  const Simd::V square = Simd::Mul(s, s), twice = Simd::Add(s, s);
  Simd::V p = Simd::Set(1.0f / 15);
  p = Simd::Fma(p, square, Simd::Set(1.0f / 13));
  p = Simd::Fma(p, square, Simd::Set(1.0f / 11));
  p = Simd::Fma(p, square, Simd::Set(1.0f / 9));
  p = Simd::Fma(p, square, Simd::Set(1.0f / 7));
  p = Simd::Fma(p, square, Simd::Set(1.0f / 5));
  p = Simd::Fma(p, square, Simd::Set(1.0f / 3));
  return Simd::Fma(twice, Simd::Mul(p, square), twice);
}

[[gnu::always_inline]] inline Simd::V SqrtSoftplus(Simd::V x) {
  const Simd::V tail = LogOnePlus(Exp(Simd::Sub(Simd::Zero(), Simd::Abs(x))));
  return Simd::Sqrt(Simd::Add(Simd::Max(x, Simd::Zero()), tail));
}

void SoftmaxScores(int64_t padded, float max, RouteRow* row) {
  Simd::V sums[kScoreVecs];
  for (Simd::V& sum : sums) sum = Simd::Zero();
  const Simd::V shift = Simd::Set(max);
  for (int64_t e = 0; e < padded; e += kScoreLanes) {
    for (int v = 0; v < kScoreVecs; ++v) {
      const int64_t at = e + v * Simd::kLanes;
      const Simd::V p = ExpBelow(Simd::Sub(Simd::Load(row->logits + at), shift));
      Simd::Store(row->scores + at, p);
      sums[v] = Simd::Add(sums[v], p);
    }
  }
  const Simd::V folded = kScoreVecs == 2 ? Simd::Add(sums[0], sums[kScoreVecs - 1]) : sums[0];
  row->divisor = Simd::ReduceAdd(folded);
}

// Divides all scores; without it, those of the selected are divided.
void Normalise(int64_t padded, RouteRow* row) {
  const Simd::V divisor = Simd::Set(row->divisor);
  for (int64_t e = 0; e < padded; e += Simd::kLanes) {
    Simd::Store(row->scores + e, Simd::Div(Simd::Load(row->scores + e), divisor));
  }
  row->divisor = 1;
}

// keys = scores + bias where the logit is finite.
void KeysOfScores(const RouteTopKArgs& args, int64_t padded, RouteRow* row) {
  const Simd::V lowest = Simd::Set(-__builtin_inff()), lowest_finite = Simd::Set(-__FLT_MAX__);
  LaneMaxima maxima;
  for (Simd::V& lane : maxima.lane) lane = lowest;
  for (int64_t e = 0; e < padded; e += kScoreLanes) {
    PENSTOCK_UNROLL
    for (int lane = 0; lane < kScoreVecs; ++lane) {
      const int64_t at = e + lane * Simd::kLanes, n = args.experts - at;
      const Simd::V z = Simd::Load(row->logits + at);
      Simd::V key = Simd::Load(row->scores + at);
      if (args.bias != nullptr && n >= Simd::kLanes) {
        key = Simd::Add(key, Simd::Load(args.bias + at));
      } else if (args.bias != nullptr && n > 0) {
        key = Simd::Add(key, Simd::LoadPart(args.bias + at, n, lowest));
      }
      key = Simd::IfLess(z, lowest_finite, lowest, Simd::IfNan(key, lowest));
      Simd::Store(row->keys + at, key);
      maxima.lane[lane] = Simd::Max(maxima.lane[lane], key);
    }
  }
  row->maxima = maxima;
}

// The sum of the group's `top` best values: keys, or scores where keys are logits. -inf: none.
float GroupRank(const float* keys, const float* values, int64_t size, int64_t top) {
  constexpr float kLowest = -__builtin_inff();
  float rank = kLowest, last = __builtin_inff();
  int64_t last_id = -1;
  for (int64_t taken = 0; taken < top; ++taken) {
    float best = kLowest;
    int64_t id = -1;
    for (int64_t e = 0; e < size; ++e) {
      const bool after = keys[e] < last || (keys[e] == last && e > last_id);
      if (after && keys[e] > best) {
        best = keys[e];
        id = e;
      }
    }
    if (id < 0) break;
    rank = taken == 0 ? values[id] : rank + values[id];
    last = best;
    last_id = id;
  }
  return rank;
}

// The same where values are keys and top is 1 or 2: lanes keep their two largest.
[[gnu::always_inline]] inline float GroupRankOfTwo(const float* keys, int64_t size, int64_t top) {
  constexpr float kLowest = -__builtin_inff();
  Simd::V first = Simd::Set(kLowest), second = first;
  for (int64_t e = 0; e < size; e += Simd::kLanes) {
    const Simd::V v = size - e >= Simd::kLanes
                          ? Simd::Load(keys + e)
                          : Simd::LoadPart(keys + e, size - e, Simd::Set(kLowest));
    second = Simd::Max(second, Simd::Min(first, v));
    first = Simd::Max(first, v);
  }
  const float best = Simd::ReduceMax(first);
  if (top == 1 || best == kLowest) return best;
  // Of the lane that holds the best, its second counts; the best itself counts once.
  const uint32_t holders = Simd::EqualBits(first, Simd::Set(best));
  float firsts[Simd::kLanes];
  Simd::Store(firsts, first);
  firsts[__builtin_ctz(holders)] = kLowest;
  const float next = Simd::ReduceMax(Simd::Max(Simd::Load(firsts), second));
  return next == kLowest ? best : best + next;
}

void FillLowest(float* keys, int64_t count) {
  const Simd::V lowest = Simd::Set(-__builtin_inff());
  int64_t e = 0;
  for (; e + Simd::kLanes <= count; e += Simd::kLanes) Simd::Store(keys + e, lowest);
  if (e < count) Simd::StorePart(keys + e, count - e, lowest);
}

// Leaves the keys of the best groups, of `padded_experts` keys.
void KeepGroups(const RouteTopKArgs& args, float* all_keys, int64_t padded_experts, RouteRow* row) {
  const int64_t size = args.experts / args.groups, top = GroupTop(args);
  const int64_t padded = (args.groups + kScoreLanes - 1) / kScoreLanes * kScoreLanes;
  const bool by_score = ByLogit(args) && top > 1;
  for (int64_t g = 0; g < args.groups; ++g) {
    const float* keys = all_keys + g * size;
    row->ranks[g] = by_score || top > 2
                        ? GroupRank(keys, (by_score ? row->scores : all_keys) + g * size, size, top)
                        : GroupRankOfTwo(keys, size, top);
  }
  for (int64_t g = args.groups; g < padded; ++g) row->ranks[g] = -__builtin_inff();
  int32_t best[kMaxExperts];
  const int64_t kept = SelectLargest(args.groups_kept, padded, MaximaOf(row->ranks, padded),
                                     row->ranks, &row->candidates, best);
  bool keep[kMaxExperts];
  for (int64_t g = 0; g < args.groups; ++g) keep[g] = false;
  for (int64_t i = 0; i < kept; ++i) keep[best[i]] = true;
  for (int64_t g = 0; g < args.groups; ++g) {
    if (!keep[g]) FillLowest(all_keys + g * size, size);
  }
  row->maxima = MaximaOf(all_keys, padded_experts);
}

// Weights of the selected, from their scores in the order of selection.
void Weigh(const RouteTopKArgs& args, const RouteRow& row, const int32_t* ids, int64_t taken,
           float* weights) {
  // In place: scores, then weights, whole registers at a time.
  const Simd::V divisor = Simd::Set(row.divisor), one = Simd::Set(1.0f);
  for (int64_t i = 0; i < taken; ++i) weights[i] = row.scores[ids[i]];
  for (int64_t i = 0; i < taken; i += Simd::kLanes) {
    const int64_t n = taken - i;
    if (n >= Simd::kLanes) {
      Simd::Store(weights + i, Simd::Div(Simd::Load(weights + i), divisor));
    } else {
      Simd::StorePart(weights + i, n, Simd::Div(Simd::LoadPart(weights + i, n, one), divisor));
    }
  }
  float sum = 0;
  for (int64_t i = 0; args.renorm && i < taken; ++i) sum += weights[i];
  const bool even = args.renorm && sum < 1e-12f;
  const Simd::V scale = Simd::Set(args.scale), total = Simd::Set(args.renorm ? sum : 1.0f);
  const Simd::V share = Simd::Set(args.scale / static_cast<float>(taken));
  for (int64_t i = 0; i < taken; i += Simd::kLanes) {
    const int64_t n = taken - i;
    const bool whole = n >= Simd::kLanes;
    const Simd::V p = whole ? Simd::Load(weights + i) : Simd::LoadPart(weights + i, n, one);
    const Simd::V weight = even ? share : Simd::Mul(scale, Simd::Div(p, total));
    whole ? Simd::Store(weights + i, weight) : Simd::StorePart(weights + i, n, weight);
  }
}

// The row's logits are sanitised, at least one is finite.
void RouteOne(const RouteTopKArgs& args, int64_t padded, float max, float* scores, RouteRow* row,
              int32_t* ids, float* weights) {
  row->divisor = 1;
  if (args.score == RouteScore::kSoftmax) {
    SoftmaxScores(padded, max, row);
  } else if (args.score == RouteScore::kSqrtSoftplus) {
    for (int64_t e = 0; e < padded; e += Simd::kLanes) {
      Simd::Store(row->scores + e, SqrtSoftplus(Simd::Load(row->logits + e)));
    }
  } else {
    for (int64_t e = 0; e < padded; e += Simd::kLanes) {
      Simd::Store(row->scores + e, Sigmoid(Simd::Load(row->logits + e)));
    }
  }
  const bool by_logit = ByLogit(args);
  const bool score_groups = by_logit && args.groups > 1 && GroupTop(args) > 1;
  if (args.score == RouteScore::kSoftmax && (!by_logit || scores != nullptr || score_groups)) {
    Normalise(padded, row);
  }
  for (int64_t e = 0; scores != nullptr && e < args.experts; ++e) scores[e] = row->scores[e];
  if (!by_logit) KeysOfScores(args, padded, row);
  float* keys = by_logit ? row->logits : row->keys;
  if (args.groups > 1) KeepGroups(args, keys, padded, row);
  const int64_t taken = SelectLargest(args.k, padded, row->maxima, keys, &row->candidates, ids);
  Weigh(args, *row, ids, taken, weights);
  for (int64_t i = taken; i < args.k; ++i) {
    ids[i] = kUnusedSlot;
    weights[i] = 0;
  }
}

Status RouteTopKRows(const RouteTopKArgs& args) {
  const Status status = CheckRouteTopK(args);
  if (status.code != Code::kOk) return status;
  const int64_t padded = (args.experts + kScoreLanes - 1) / kScoreLanes * kScoreLanes;
  RouteRow row;
  for (int64_t t = 0; t < args.rows; ++t) {
    const float max = Sanitise(args, args.logits + t * args.experts, padded, &row);
    if (max == -__builtin_inff()) {
      if (args.degenerate_rows != nullptr) ++*args.degenerate_rows;
      for (int64_t i = 0; i < args.k; ++i) {
        args.ids[t * args.k + i] = kUnusedSlot;
        args.weights[t * args.k + i] = 0;
      }
      for (int64_t e = 0; args.scores != nullptr && e < args.experts; ++e) {
        args.scores[t * args.experts + e] = 0;
      }
      continue;
    }
    RouteOne(args, padded, max, args.scores != nullptr ? args.scores + t * args.experts : nullptr,
             &row, args.ids + t * args.k, args.weights + t * args.k);
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
