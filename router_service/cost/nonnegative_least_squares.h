#pragma once

#include <array>
#include <cstddef>

namespace penstock::router {

// Recursive least squares under c >= 0 for y = sum_j c_j x_j with x_0 = 1, exponentially
// forgetting. The start values are a prior that fades: an observation a factor of three away halves
// its weight. Errors are weighted by 1 / v(x)^2, v = the start model's own prediction, so that
// relative errors count alike; weights that depend on x alone leave the estimate unbiased. Not
// thread-safe.
class NonnegativeLeastSquares {
 public:
  static constexpr size_t kTerms = 3;
  using Vector = std::array<double, kTerms>;

  // A zero start value says that nothing is known of that term. Terms of which `used` is false stay
  // 0.
  NonnegativeLeastSquares(const Vector& start, const std::array<bool, kTerms>& used);

  void Observe(const Vector& x, double y);
  // Forgets everything but the terms in use.
  void Restart(const Vector& start);
  const Vector& coefficients() const { return coefficients_; }
  static double Predict(const Vector& coefficients, const Vector& x);

 private:
  void Solve();
  double Scale(const Vector& x) const;

  const std::array<bool, kTerms> used_;
  Vector start_;
  Vector unit_;  // size of each term, for the prior and for v(x)
  double prior_;
  Vector coefficients_;
  std::array<Vector, kTerms> gram_{};
  Vector moment_{};
};

}  // namespace penstock::router
