#pragma once

// For SIMD files, after simd_exp.h.

#include <cstdint>

#include "kernels/sinkhorn_assign/capacity_rounding.h"
#include "kernels/sinkhorn_assign/sinkhorn_assign.h"
#include "kernels/sinkhorn_assign/transport.h"

namespace penstock::kernels {
namespace {

constexpr int kTransportVecs = static_cast<int>(kTransportLanes) / Simd::kLanes;
constexpr float kAbsent = -__builtin_inff();
// Below it exp is 0 here. What that drops from a column of 2^24 rows stays under 1e-7 of a sum
// above kLeastColumn times the largest row mass; smaller sums are formed from logarithms.
constexpr float kLeastExponent = -87.0f;
constexpr double kLeastColumn = 1e-23;
// Rows whose columns are summed before they join the total: keeps the rounding of 4096 rows small.
constexpr int64_t kColumnBlock = 64;

struct Transport {
  int64_t padded;
  float* z;          // [rows, padded]: Z less the row's largest; -inf: absent
  float* shares;     // [padded], of one row
  float* potential;  // g [padded]
  float* closed;     // [padded]: 0, or -inf where the expert takes nothing
  float* sums;       // [padded], of columns
  float* block;      // [padded], of the columns of kColumnBlock rows
  float* mass;       // r [rows], 0 where the row is left out
  float* largest;    // [rows]: max_e (z + g), then
  float* sum;        // [rows]: sum_e exp(z + g - largest)
};

// exp(x) for x <= 0 by the polynomial of Exp(), scaled in one step: 2^n is a normal float.
[[gnu::always_inline]] inline Simd::V ExpOfShare(Simd::V x) {
  const Simd::V least = Simd::Set(kLeastExponent);
  const Simd::V y = Simd::Max(least, x);
  const Simd::V n = Simd::Round(Simd::Mul(y, Simd::Set(1.44269504088896341f)));
  Simd::V r = Simd::Fma(n, Simd::Set(-0.693359375f), y);
  r = Simd::Fma(n, Simd::Set(2.12194440e-4f), r);
  Simd::V p = Simd::Set(1.9875691500e-4f);
  p = Simd::Fma(p, r, Simd::Set(1.3981999507e-3f));
  p = Simd::Fma(p, r, Simd::Set(8.3334519073e-3f));
  p = Simd::Fma(p, r, Simd::Set(4.1665795894e-2f));
  p = Simd::Fma(p, r, Simd::Set(1.6666665459e-1f));
  p = Simd::Fma(p, r, Simd::Set(5.0000001201e-1f));
  p = Simd::Add(Simd::Fma(p, Simd::Mul(r, r), r), Simd::Set(1.0f));
  return Simd::IfLess(x, least, Simd::Zero(), Simd::ScaleByNormalPowerOfTwo(p, n));
}

// The logits of 16 experts, sanitised; absent ones -inf.
[[gnu::always_inline]] inline Simd::V UsableLogits(const SinkhornArgs& args, const Transport& t,
                                                   int64_t row, int64_t e) {
  const Simd::V absent = Simd::Set(kAbsent);
  const float* at = args.logits + row * args.experts + e;
  const int64_t n = args.experts - e;
  Simd::V v = absent;
  if (n >= Simd::kLanes) {
    v = Simd::Load(at);
  } else if (n > 0) {
    v = Simd::LoadPart(at, n, absent);
  }
  v = Simd::Min(Simd::IfNan(v, absent), Simd::Set(__FLT_MAX__));
  return Simd::Add(v, Simd::Load(t.closed + e));
}

// z, the rows' masses, and into t.sums the largest z of each column. Returns the rows left out.
int64_t Prepare(const SinkhornArgs& args, const Transport& t) {
  int64_t left_out = 0;
  const Simd::V absent = Simd::Set(kAbsent), scale = Simd::Set(1.0f / args.temperature);
  for (int64_t e = 0; e < t.padded; ++e) {
    const bool open = e < args.experts && (args.available == nullptr || args.available[e] != 0) &&
                      (args.expert_mass == nullptr || args.expert_mass[e] > 0);
    t.closed[e] = open ? 0 : kAbsent;
    t.sums[e] = kAbsent;
    t.potential[e] = 0;
  }
  for (int64_t e = 0; e < args.experts; ++e) {
    const float start = args.potential[e];
    // False also for NaN.
    if (start >= -__FLT_MAX__ && start <= __FLT_MAX__) t.potential[e] = start;
  }
  for (int64_t row = 0; row < args.rows; ++row) {
    float* z = t.z + row * t.padded;
    Simd::V most = absent;
    for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
      const Simd::V v = UsableLogits(args, t, row, e);
      most = Simd::Max(most, v);
      Simd::Store(z + e, v);
    }
    const float largest = Simd::ReduceMax(most);
    const float mass = args.row_mass != nullptr ? args.row_mass[row] : 1;
    t.mass[row] = largest == kAbsent ? 0 : mass;
    if (largest == kAbsent && mass > 0 && args.degenerate_rows != nullptr) ++*args.degenerate_rows;
    if (t.mass[row] == 0) {
      ++left_out;
      for (int64_t e = 0; e < t.padded; ++e) z[e] = kAbsent;
      continue;
    }
    const Simd::V shift = Simd::Set(largest);
    for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
      const Simd::V v = Simd::Mul(Simd::Sub(Simd::Load(z + e), shift), scale);
      Simd::Store(z + e, v);
      Simd::Store(t.sums + e, Simd::Max(v, Simd::Load(t.sums + e)));
    }
  }
  return left_out;
}

// One row of the plan under g: f by the row's sum, and its mass into the columns of t.block.
[[gnu::always_inline]] inline void AddRow(const Transport& t, int64_t row) {
  const float* z = t.z + row * t.padded;
  Simd::V even = Simd::Set(kAbsent), odd = even;
  for (int64_t e = 0; e < t.padded; e += kTransportLanes) {
    const int64_t next = e + kTransportLanes - Simd::kLanes;
    even = Simd::Max(even, Simd::Add(Simd::Load(z + e), Simd::Load(t.potential + e)));
    odd = Simd::Max(odd, Simd::Add(Simd::Load(z + next), Simd::Load(t.potential + next)));
  }
  const float largest = Simd::ReduceMax(Simd::Max(even, odd));
  const Simd::V shift = Simd::Set(largest);
  Simd::V sums[kTransportVecs];
  for (Simd::V& sum : sums) sum = Simd::Zero();
  for (int64_t e = 0; e < t.padded; e += kTransportLanes) {
    for (int v = 0; v < kTransportVecs; ++v) {
      const int64_t at = e + v * Simd::kLanes;
      const Simd::V a = Simd::Add(Simd::Load(z + at), Simd::Load(t.potential + at));
      const Simd::V p = ExpOfShare(Simd::Sub(a, shift));
      Simd::Store(t.shares + at, p);
      sums[v] = Simd::Add(sums[v], p);
    }
  }
  const float sum =
      Simd::ReduceAdd(kTransportVecs == 2 ? Simd::Add(sums[0], sums[kTransportVecs - 1]) : sums[0]);
  t.largest[row] = largest;
  t.sum[row] = sum;
  const Simd::V scale = Simd::Set(t.mass[row] / sum);
  for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
    Simd::Store(t.block + e, Simd::Fma(Simd::Load(t.shares + e), scale, Simd::Load(t.block + e)));
  }
}

[[gnu::noinline]] void SumColumns(const SinkhornArgs& args, const Transport& t) {
  for (int64_t e = 0; e < t.padded; ++e) t.sums[e] = 0;
  for (int64_t first = 0; first < args.rows; first += kColumnBlock) {
    const int64_t last = args.rows - first < kColumnBlock ? args.rows : first + kColumnBlock;
    for (int64_t e = 0; e < t.padded; e += Simd::kLanes) Simd::Store(t.block + e, Simd::Zero());
    for (int64_t row = first; row < last; ++row) {
      if (t.mass[row] > 0) AddRow(t, row);
    }
    for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
      Simd::Store(t.sums + e, Simd::Add(Simd::Load(t.sums + e), Simd::Load(t.block + e)));
    }
  }
}

// log(P_te / r_t) before g_e.
[[gnu::always_inline]] inline double RowLog(const Transport& t, int64_t row) {
  return -static_cast<double>(t.largest[row]) - __builtin_log(static_cast<double>(t.sum[row]));
}

// log sum_t exp(Z_te + f_t), for a column whose sum underflows.
double ColumnLogSum(const SinkhornArgs& args, const Transport& t, int64_t e) {
  double most = -__builtin_inf(), sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t row = 0; row < args.rows; ++row) {
      const float z = t.z[row * t.padded + e];
      if (z == kAbsent || t.mass[row] == 0) continue;
      const double a =
          static_cast<double>(z) + RowLog(t, row) + __builtin_log(static_cast<double>(t.mass[row]));
      if (pass == 1) {
        sum += __builtin_exp(a - most);
      } else if (a > most) {
        most = a;
      }
    }
  }
  return most + __builtin_log(sum);
}

void Iterate(const SinkhornArgs& args, const Transport& t) {
  double rows = 0, columns = 0, largest_mass = 0;
  for (int64_t row = 0; row < args.rows; ++row) {
    const double mass = static_cast<double>(t.mass[row]);
    rows += mass;
    if (mass > largest_mass) largest_mass = mass;
  }
  for (int64_t e = 0; e < args.experts; ++e) {
    if (t.sums[e] == kAbsent) t.closed[e] = t.potential[e] = kAbsent;  // no row may use it
    if (t.closed[e] == 0) columns += args.expert_mass == nullptr ? 1.0 : args.expert_mass[e];
  }
  for (int64_t i = 0; i < args.iterations; ++i) {
    SumColumns(args, t);
    for (int64_t e = 0; e < args.experts; ++e) {
      if (t.closed[e] == kAbsent) continue;
      const double mass = args.expert_mass == nullptr ? 1.0 : args.expert_mass[e];
      const double target = __builtin_log(mass * rows / columns), sum = t.sums[e];
      const double g = sum > kLeastColumn * largest_mass
                           ? static_cast<double>(t.potential[e]) + target - __builtin_log(sum)
                           : target - ColumnLogSum(args, t, e);
      const double most = static_cast<double>(__FLT_MAX__);
      t.potential[e] = static_cast<float>(g > most ? most : g < -most ? -most : g);
    }
  }
}

// z becomes log(P_te / r_t); the plan, if it is wanted.
void Shares(const SinkhornArgs& args, const Transport& t) {
  for (int64_t row = 0; row < args.rows; ++row) {
    float* z = t.z + row * t.padded;
    const Simd::V mass = Simd::Set(t.mass[row]);
    // A row left out has no f; its z are -inf already.
    const Simd::V f = Simd::Set(t.mass[row] > 0 ? static_cast<float>(RowLog(t, row)) : 0.0f);
    for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
      const Simd::V a = Simd::Add(Simd::Load(z + e), Simd::Load(t.potential + e));
      Simd::Store(z + e, Simd::Add(a, f));
    }
    for (int64_t e = 0; args.plan != nullptr && e < args.experts; e += Simd::kLanes) {
      const Simd::V p = Simd::Mul(Exp(Simd::Load(z + e)), mass);
      float* at = args.plan + row * args.experts + e;
      const int64_t n = args.experts - e;
      if (n >= Simd::kLanes) {
        Simd::Store(at, p);
      } else {
        Simd::StorePart(at, n, p);
      }
    }
  }
}

// Of the logit's softmax over the row: largest and sum.
[[gnu::always_inline]] inline void SoftmaxOf(const SinkhornArgs& args, const Transport& t,
                                             int64_t row, float* largest, float* sum) {
  Simd::V most = Simd::Set(kAbsent), total = Simd::Zero();
  for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
    most = Simd::Max(most, UsableLogits(args, t, row, e));
  }
  *largest = Simd::ReduceMax(most);
  for (int64_t e = 0; e < t.padded; e += Simd::kLanes) {
    total = Simd::Add(total, Exp(Simd::Sub(UsableLogits(args, t, row, e), Simd::Set(*largest))));
  }
  *sum = Simd::ReduceAdd(total);
}

[[gnu::always_inline]] inline float First(Simd::V v) {
  float lanes[Simd::kLanes];
  Simd::Store(lanes, v);
  return lanes[0];
}

void Weigh(const SinkhornArgs& args, const Transport& t) {
  for (int64_t row = 0; row < args.rows; ++row) {
    float largest = 0, sum = 1;
    const int32_t* ids = args.ids + row * args.k;
    if (args.weight == SinkhornWeight::kSoftmax && t.mass[row] > 0) {
      SoftmaxOf(args, t, row, &largest, &sum);
    }
    for (int64_t i = 0; i < args.k; ++i) {
      float* weight = args.weights + row * args.k + i;
      if (ids[i] < 0) {
        *weight = 0;
        continue;
      }
      const float logit = args.logits[row * args.experts + ids[i]];
      const Simd::V z = Simd::Set(logit < __FLT_MAX__ ? logit : __FLT_MAX__);
      switch (args.weight) {
        case SinkhornWeight::kPlan:
          *weight = First(Exp(Simd::Set(t.z[row * t.padded + ids[i]])));
          break;
        case SinkhornWeight::kSoftmax:
          *weight = First(Simd::Div(Exp(Simd::Sub(z, Simd::Set(largest))), Simd::Set(sum)));
          break;
        case SinkhornWeight::kSigmoid:
          *weight = First(Sigmoid(z));
          break;
      }
    }
  }
}

Status SinkhornRows(const SinkhornArgs& args) {
  const Status status = CheckSinkhorn(args);
  if (status.code != Code::kOk || args.rows == 0) return status;
  Transport t;
  char* at = WorkspaceStart(args.workspace);
  t.padded = TransportColumns(args.experts);
  t.z = TakeFloats(&at, args.rows * t.padded);
  t.shares = TakeFloats(&at, t.padded);
  t.potential = TakeFloats(&at, t.padded);
  t.closed = TakeFloats(&at, t.padded);
  t.sums = TakeFloats(&at, t.padded);
  t.block = TakeFloats(&at, t.padded);
  t.mass = TakeFloats(&at, args.rows);
  t.largest = TakeFloats(&at, args.rows);
  t.sum = TakeFloats(&at, args.rows);
  const int64_t left_out = Prepare(args, t);
  Iterate(args, t);
  Shares(args, t);
  for (int64_t e = 0; e < args.experts; ++e) args.potential[e] = t.potential[e];
  const RoundingArgs rounding = {
      args.rows, args.experts,  args.k,   t.z,
      t.padded,  args.capacity, args.ids, reinterpret_cast<int32_t*>(at)};
  const int64_t empty = RoundToCapacity(rounding);
  if (args.unserved != nullptr) *args.unserved += empty - left_out * args.k;
  Weigh(args, t);
  return status;
}

}  // namespace
}  // namespace penstock::kernels
