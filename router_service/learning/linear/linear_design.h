#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "kernels/linear/linear.h"

namespace penstock::router {

// Mean and scale of each feature. A feature that does not vary has inverse scale 0: it teaches
// nothing.
struct Standardisation {
  std::vector<double> mean, inverse_scale;

  static Standardisation Of(absl::Span<const float> x, size_t rows, size_t dimension);
  std::vector<float> Apply(absl::Span<const float> x) const;
  // Turns a map of standardised features into one of raw features, in place: weight [dimension].
  void Fold(absl::Span<double> weight, double& bias) const;
};

// Rows `rows` of x [*, dimension] packed for both products that a fit needs, X W^T and R X.
class LinearDesign {
 public:
  LinearDesign(absl::Span<const float> x, size_t dimension, absl::Span<const size_t> rows);

  size_t rows() const { return rows_; }
  size_t dimension() const { return dimension_; }
  // parameters [heads, dimension + 1], bias last -> scores [heads, rows].
  void Scores(absl::Span<const double> parameters, size_t heads, std::vector<float>& scores) const;
  // residuals [heads, rows] -> gradient [heads, dimension + 1].
  void Gradient(absl::Span<const float> residuals, size_t heads,
                std::vector<double>& gradient) const;

 private:
  const size_t rows_;
  const size_t dimension_;
  kernels::PackedLinear forward_;   // X, [rows, dimension]
  kernels::PackedLinear backward_;  // X^T
};

// The columns `taken` of values [heads, columns].
std::vector<float> Columns(absl::Span<const float> values, size_t heads,
                           absl::Span<const size_t> taken);

// l2/2 |w|^2 over the weights of parameters [heads, dimension + 1] (biases go free), its gradient
// added to the first of `gradient`.
double RidgePenalty(absl::Span<const double> parameters, size_t dimension, double l2,
                    absl::Span<double> gradient);

}  // namespace penstock::router
