#pragma once

namespace penstock::router {

// 0 up to -width/2, 1 from width/2, a cubic between: unlike the logistic function it reaches both
// ends, so a decision can become exact while it is still trained by gradients. Hazimeh et al. 2020,
// The Tree Ensemble Layer, arXiv:2002.07772, equation 4. width > 0.
inline double SmoothStep(double t, double width) {
  if (t <= -0.5 * width) return 0;
  if (t >= 0.5 * width) return 1;
  const double x = t / width;
  return -2 * x * x * x + 1.5 * x + 0.5;
}

// Its derivative.
inline double SmoothStepSlope(double t, double width) {
  if (t <= -0.5 * width || t >= 0.5 * width) return 0;
  const double x = t / width;
  return (1.5 - 6 * x * x) / width;
}

}  // namespace penstock::router
