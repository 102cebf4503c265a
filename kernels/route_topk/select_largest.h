#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: the k largest of a row of keys.

#include <cstdint>

#include "kernels/device/unroll.h"
#include "kernels/route_topk/route_topk.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kScoreLanes = 16;  // the same on every CPU
constexpr int kScoreVecs = static_cast<int>(kScoreLanes) / Simd::kLanes;

// Up to so many candidates are compared with one another; of more (ties), each maximum is searched.
constexpr int64_t kMostCandidates = 64;

// What may be among the largest, in the order of the ids. Room for one store beyond the last.
struct Candidates {
  alignas(64) float keys[kMaxExperts + kScoreLanes];
  alignas(64) float ids[kMaxExperts + kScoreLanes];  // whole numbers
};

// The largest of each of kScoreLanes lanes.
struct LaneMaxima {
  Simd::V lane[kScoreVecs];
};

LaneMaxima MaximaOf(const float* keys, int64_t padded) {
  LaneMaxima maxima;
  for (Simd::V& v : maxima.lane) v = Simd::Set(-__builtin_inff());
  for (int64_t e = 0; e < padded; e += kScoreLanes) {
    PENSTOCK_UNROLL
    for (int v = 0; v < kScoreVecs; ++v) {
      maxima.lane[v] = Simd::Max(maxima.lane[v], Simd::Load(keys + e + v * Simd::kLanes));
    }
  }
  return maxima;
}

// The first of the largest keys, or -1 where all are -inf; takes it out.
int64_t TakeLargest(int64_t padded, float* keys) {
  const LaneMaxima maxima = MaximaOf(keys, padded);
  const float max = Simd::ReduceMax(Simd::Max(maxima.lane[0], maxima.lane[kScoreVecs - 1]));
  if (max == -__builtin_inff()) return kUnusedSlot;
  const Simd::V wanted = Simd::Set(max);
  for (int64_t e = 0; e < padded; e += Simd::kLanes) {
    const uint32_t equal = Simd::EqualBits(Simd::Load(keys + e), wanted);
    if (equal != 0) {
      const int64_t id = e + __builtin_ctz(equal);
      keys[id] = -__builtin_inff();
      return id;
    }
  }
  return kUnusedSlot;
}

// ranks[i] = how many of all `count` values are above values[i], of kScoreLanes values. Count
// is a multiple of 4, or -inf follows.
[[gnu::always_inline]] inline void CountAbove(const float* values, const float* all, int64_t count,
                                              float* ranks) {
  // Several chains: an addition has a latency of several cycles. -inf is above nothing.
  constexpr int kChains = 4 / kScoreVecs;
  Simd::V value[kScoreVecs], above[kChains][kScoreVecs];
  PENSTOCK_UNROLL
  for (int v = 0; v < kScoreVecs; ++v) {
    value[v] = Simd::Load(values + v * Simd::kLanes);
    PENSTOCK_UNROLL
    for (int chain = 0; chain < kChains; ++chain) above[chain][v] = Simd::Zero();
  }
  for (int64_t j = 0; j < count; j += kChains) {
    PENSTOCK_UNROLL
    for (int chain = 0; chain < kChains; ++chain) {
      const Simd::V other = Simd::Set(all[j + chain]);
      PENSTOCK_UNROLL
      for (int v = 0; v < kScoreVecs; ++v) {
        above[chain][v] = Simd::CountIfLess(above[chain][v], value[v], other);
      }
    }
  }
  PENSTOCK_UNROLL
  for (int v = 0; v < kScoreVecs; ++v) {
    PENSTOCK_UNROLL
    for (int chain = 1; chain < kChains; ++chain) {
      above[0][v] = Simd::Add(above[0][v], above[chain][v]);
    }
    Simd::Store(ranks + v * Simd::kLanes, above[0][v]);
  }
}

// A value that at least k keys reach, if so many can be selected: the k-th largest of the lanes'
// maxima, k at most kScoreLanes. At least the lowest finite float.
float ReachedByLargest(const LaneMaxima& maxima, int64_t k) {
  alignas(64) float values[kScoreLanes], ranks[kScoreLanes];
  for (int v = 0; v < kScoreVecs; ++v) Simd::Store(values + v * Simd::kLanes, maxima.lane[v]);
  CountAbove(values, values, kScoreLanes, ranks);
  const Simd::V few = Simd::Set(static_cast<float>(k)), lowest = Simd::Set(-__builtin_inff());
  // The least of those with fewer than k above them.
  Simd::V negated = lowest;
  for (int v = 0; v < kScoreVecs; ++v) {
    negated = Simd::Max(negated, Simd::IfLess(Simd::Load(ranks + v * Simd::kLanes), few,
                                              Simd::Sub(Simd::Zero(), maxima.lane[v]), lowest));
  }
  const float bound = -Simd::ReduceMax(negated);
  return bound < -__FLT_MAX__ ? -__FLT_MAX__ : bound;
}

// All keys of at least `bound`; returns their number.
int64_t Collect(const float* keys, int64_t padded, float bound, Candidates* found) {
  alignas(64) static constexpr float kLane[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                  8, 9, 10, 11, 12, 13, 14, 15};
  const Simd::V least = Simd::Set(bound), step = Simd::Set(static_cast<float>(Simd::kLanes));
  Simd::V ids = Simd::Load(kLane);
  int64_t count = 0;
  for (int64_t e = 0; e < padded; e += Simd::kLanes) {
    const Simd::V key = Simd::Load(keys + e);
    const uint32_t bits = Simd::EqualBits(Simd::Max(key, least), key);
    Simd::Store(found->keys + count, Simd::Compress(key, bits));
    Simd::Store(found->ids + count, Simd::Compress(ids, bits));
    count += __builtin_popcount(bits);
    ids = Simd::Add(ids, step);
  }
  for (int v = 0; v < kScoreVecs; ++v) {
    Simd::Store(found->keys + count + v * Simd::kLanes, Simd::Set(-__builtin_inff()));
  }
  return count;
}

// ids[0..] = the k largest keys, best first, equal keys by lower id; returns their number, less
// than k where fewer are above -inf. Maxima are those of the keys; may overwrite keys.
int64_t SelectLargest(int64_t k, int64_t padded, const LaneMaxima& maxima, float* keys,
                      Candidates* found, int32_t* ids) {
  const int64_t count = k <= kScoreLanes ? Collect(keys, padded, ReachedByLargest(maxima, k), found)
                                         : kMostCandidates + 1;
  if (count > kMostCandidates) {
    for (int64_t taken = 0; taken < k; ++taken) {
      const int64_t id = TakeLargest(padded, keys);
      if (id < 0) return taken;
      ids[taken] = static_cast<int32_t>(id);
    }
    return k;
  }
  alignas(64) float ranks[kMostCandidates];
  for (int64_t i = 0; i < count; i += kScoreLanes) {
    CountAbove(found->keys + i, found->keys, count, ranks + i);
  }
  // Equal keys have one rank: they take it and those after it in turn.
  int32_t sorted[kMostCandidates];
  uint8_t before[kMostCandidates] = {};
  for (int64_t i = 0; i < count; ++i) {
    const auto rank = static_cast<int64_t>(ranks[i]);
    sorted[rank + before[rank]++] = static_cast<int32_t>(found->ids[i]);
  }
  const int64_t taken = count < k ? count : k;
  for (int64_t i = 0; i < taken; ++i) ids[i] = sorted[i];
  return taken;
}

}  // namespace
}  // namespace penstock::kernels
