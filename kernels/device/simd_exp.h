#pragma once

// For SIMD files, after one of simd_avx2.h and simd_avx512.h: exp and what is built on it.

namespace penstock::kernels {
namespace {

// Cephes expf: x = n ln 2 + r, exp(r) by a polynomial, within 2 ulp; NaN stays, exp(-inf) = 0,
// overflow gives inf. route_topk's reference repeats this recipe operation by operation.
// ExpBelow: of x that do not exceed 89, beyond which exp overflows.
[[gnu::always_inline]] inline Simd::V ExpBelow(Simd::V x) {
  x = Simd::Max(Simd::Set(-104.0f), x);  // exp(-104) rounds to 0
  const Simd::V n = Simd::Round(Simd::Mul(x, Simd::Set(1.44269504088896341f)));
  Simd::V r = Simd::Fma(n, Simd::Set(-0.693359375f), x);
  r = Simd::Fma(n, Simd::Set(2.12194440e-4f), r);
  Simd::V p = Simd::Set(1.9875691500e-4f);
  p = Simd::Fma(p, r, Simd::Set(1.3981999507e-3f));
  p = Simd::Fma(p, r, Simd::Set(8.3334519073e-3f));
  p = Simd::Fma(p, r, Simd::Set(4.1665795894e-2f));
  p = Simd::Fma(p, r, Simd::Set(1.6666665459e-1f));
  p = Simd::Fma(p, r, Simd::Set(5.0000001201e-1f));
  p = Simd::Add(Simd::Fma(p, Simd::Mul(r, r), r), Simd::Set(1.0f));
  return Simd::ScaleByPowerOfTwo(p, n);
}

[[gnu::always_inline]] inline Simd::V Exp(Simd::V x) {
  return ExpBelow(Simd::Min(Simd::Set(89.0f), x));
}

// 1 / (1 + exp(-x)): exactly 1 at +inf and 0 at -inf.
[[gnu::always_inline]] inline Simd::V Sigmoid(Simd::V x) {
  const Simd::V one = Simd::Set(1.0f);
  return Simd::Div(one, Simd::Add(one, Exp(Simd::Sub(Simd::Zero(), x))));
}

}  // namespace
}  // namespace penstock::kernels
