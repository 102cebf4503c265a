#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/exit_gate/exit_gate.h"

namespace penstock::kernels {
namespace {

struct TwoLargest {
  float first;
  float second;  // -inf where there is one class
};

// Some classes of a row: `absent` in lanes beyond the last.
[[gnu::always_inline]] inline Simd::V ClassLogits(const float* logits, int64_t n, float absent) {
  const Simd::V v =
      n >= Simd::kLanes ? Simd::Load(logits) : Simd::LoadPart(logits, n, Simd::Set(absent));
  return Simd::Min(Simd::Set(__FLT_MAX__), v);  // NaN stays
}

[[gnu::always_inline]] inline TwoLargest FindTwoLargest(const float* logits, int64_t classes) {
  constexpr float kLowest = -__builtin_inff();
  Simd::V first = Simd::Set(kLowest), second = first;
  for (int64_t i = 0; i < classes; i += Simd::kLanes) {
    const Simd::V v = ClassLogits(logits + i, classes - i, kLowest);
    // NaN in the first operand is skipped: it shows in the sums.
    second = Simd::Max(Simd::Min(v, first), second);
    first = Simd::Max(v, first);
  }
  float firsts[Simd::kLanes], seconds[Simd::kLanes];
  Simd::Store(firsts, first);
  Simd::Store(seconds, second);
  TwoLargest best = {kLowest, kLowest};
  for (int lane = 0; lane < Simd::kLanes; ++lane) {
    for (float v : {firsts[lane], seconds[lane]}) {
      if (v > best.first) {
        best = {v, best.first};
      } else if (v > best.second) {
        best.second = v;
      }
    }
  }
  return best;
}

[[gnu::always_inline]] inline float FirstLane(Simd::V v) {
  float lanes[Simd::kLanes];
  Simd::Store(lanes, v);
  return lanes[0];
}

// With e = exp(z), z = logit - largest, S = sum e, S2 = sum e^2:
// H(p) = log S - sum(e z) / S and H(p^2 / sum p^2) = log S2 - 2 sum(e^2 z) / S2. One exp a class.
// False where there is no distribution.
[[gnu::always_inline]] inline bool ExitFeaturesOf(const float* logits, int64_t classes, float* u) {
  const TwoLargest best = FindTwoLargest(logits, classes);
  const Simd::V largest = Simd::Set(best.first), zero = Simd::Zero();
  Simd::V sum = zero, weighted = zero, squares = zero, weighted_squares = zero;
  for (int64_t i = 0; i < classes; i += Simd::kLanes) {
    const Simd::V v = ClassLogits(logits + i, classes - i, -__builtin_inff());
    // Below -104 exp is 0; the bound keeps 0 * z from being 0 * inf. NaN stays.
    const Simd::V z = Simd::Max(Simd::Set(-104.0f), Simd::Sub(v, largest));
    const Simd::V e = Exp(z), square = Simd::Mul(e, e);
    sum = Simd::Add(sum, e);
    weighted = Simd::Fma(e, z, weighted);
    squares = Simd::Add(squares, square);
    weighted_squares = Simd::Fma(square, z, weighted_squares);
  }
  const double s = static_cast<double>(Simd::ReduceAdd(sum));
  const double s2 = static_cast<double>(Simd::ReduceAdd(squares));
  // False for NaN: of a class, or of -inf - -inf where no logit is above -inf.
  if (!(s >= 1)) return false;
  const double second =
      static_cast<double>(FirstLane(Exp(Simd::Sub(Simd::Set(best.second), largest))));
  u[0] = static_cast<float>(1 / s);
  u[1] = static_cast<float>(__builtin_log(s) - static_cast<double>(Simd::ReduceAdd(weighted)) / s);
  u[2] = static_cast<float>((1 - second) / s);
  u[3] = static_cast<float>(__builtin_log(s2) -
                            2 * static_cast<double>(Simd::ReduceAdd(weighted_squares)) / s2);
  return true;
}

Status ExitGateRows(const ExitGateArgs& args) {
  const Status status = CheckExitGate(args);
  if (status.code != Code::kOk) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    float u[kExitFeatures] = {};
    const bool valid = ExitFeaturesOf(args.logits + t * args.classes, args.classes, u);
    float z = args.b;
    for (int64_t i = 0; i < kExitFeatures; ++i) z = __builtin_fmaf(args.w[i], u[i], z);
    const float gate = valid ? FirstLane(Sigmoid(Simd::Set(z))) : 0;
    args.gate[t] = gate;
    args.exit[t] = valid && gate >= args.threshold ? 1 : 0;
    if (args.features == nullptr) continue;
    for (int64_t i = 0; i < kExitFeatures; ++i) args.features[t * kExitFeatures + i] = u[i];
  }
  return status;
}

}  // namespace
}  // namespace penstock::kernels
