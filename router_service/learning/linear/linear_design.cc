#include "router_service/learning/linear/linear_design.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace penstock::router {

Standardisation Standardisation::Of(absl::Span<const float> x, size_t rows, size_t dimension) {
  Standardisation result;
  result.mean.assign(dimension, 0.0);
  result.inverse_scale.assign(dimension, 0.0);
  if (rows == 0) return result;
  for (size_t at = 0; at < rows * dimension; ++at) result.mean[at % dimension] += x[at];
  for (double& mean : result.mean) mean /= static_cast<double>(rows);
  std::vector<double> variance(dimension, 0.0);
  for (size_t at = 0; at < rows * dimension; ++at) {
    const double off = x[at] - result.mean[at % dimension];
    variance[at % dimension] += off * off;
  }
  for (size_t j = 0; j < dimension; ++j) {
    const double scale = std::sqrt(variance[j] / static_cast<double>(rows));
    // fp32 features carry 24 bits: below that a deviation is rounding.
    if (scale > 1e-6 * std::abs(result.mean[j]) && scale > 1e-30) {
      result.inverse_scale[j] = 1 / scale;
    }
  }
  return result;
}

std::vector<float> Standardisation::Apply(absl::Span<const float> x) const {
  std::vector<float> result(x.size());
  const size_t dimension = mean.size();
  for (size_t at = 0; at < x.size(); ++at) {
    const size_t j = at % dimension;
    result[at] = static_cast<float>((x[at] - mean[j]) * inverse_scale[j]);
  }
  return result;
}

void Standardisation::Fold(absl::Span<double> weight, double& bias) const {
  for (size_t j = 0; j < mean.size(); ++j) {
    weight[j] *= inverse_scale[j];
    bias -= weight[j] * mean[j];
  }
}

LinearDesign::LinearDesign(absl::Span<const float> x, size_t dimension,
                           absl::Span<const size_t> rows)
    : rows_(rows.size()), dimension_(dimension) {
  if (rows_ == 0 || dimension_ == 0) return;
  std::vector<float> taken(rows_ * dimension_), transposed(rows_ * dimension_);
  for (size_t i = 0; i < rows_; ++i) {
    for (size_t j = 0; j < dimension_; ++j) {
      const float value = x[rows[i] * dimension_ + j];
      taken[i * dimension_ + j] = value;
      transposed[j * rows_ + i] = value;
    }
  }
  const int64_t n = static_cast<int64_t>(rows_), d = static_cast<int64_t>(dimension_);
  forward_ = kernels::PackedLinear(taken.data(), nullptr, d, n);
  backward_ = kernels::PackedLinear(transposed.data(), nullptr, n, d);
}

void LinearDesign::Scores(absl::Span<const double> parameters, size_t heads,
                          std::vector<float>& scores) const {
  scores.assign(heads * rows_, 0.0f);
  std::vector<float> weight(heads * dimension_);
  for (size_t h = 0; h < heads; ++h) {
    for (size_t j = 0; j < dimension_; ++j) {
      weight[h * dimension_ + j] = static_cast<float>(parameters[h * (dimension_ + 1) + j]);
    }
  }
  if (rows_ > 0 && dimension_ > 0) {
    kernels::LinearArgs args;
    args.w = forward_.weights();
    args.rows = static_cast<int64_t>(heads);
    args.x = weight.data();
    args.y = scores.data();
    if (!kernels::Linear(args).ok()) std::abort();  // the shapes are this class's own
  }
  for (size_t h = 0; h < heads; ++h) {
    const float bias = static_cast<float>(parameters[h * (dimension_ + 1) + dimension_]);
    for (size_t i = 0; i < rows_; ++i) scores[h * rows_ + i] += bias;
  }
}

void LinearDesign::Gradient(absl::Span<const float> residuals, size_t heads,
                            std::vector<double>& gradient) const {
  std::vector<float> product(heads * dimension_, 0.0f);
  if (rows_ > 0 && dimension_ > 0) {
    kernels::LinearArgs args;
    args.w = backward_.weights();
    args.rows = static_cast<int64_t>(heads);
    args.x = residuals.data();
    args.y = product.data();
    if (!kernels::Linear(args).ok()) std::abort();  // the shapes are this class's own
  }
  gradient.assign(heads * (dimension_ + 1), 0.0);
  for (size_t h = 0; h < heads; ++h) {
    double* to = gradient.data() + h * (dimension_ + 1);
    for (size_t j = 0; j < dimension_; ++j) to[j] = product[h * dimension_ + j];
    for (size_t i = 0; i < rows_; ++i) to[dimension_] += residuals[h * rows_ + i];
  }
}

std::vector<float> Columns(absl::Span<const float> values, size_t heads,
                           absl::Span<const size_t> taken) {
  const size_t columns = values.size() / std::max<size_t>(heads, 1);
  std::vector<float> result;
  result.reserve(heads * taken.size());
  for (size_t h = 0; h < heads; ++h) {
    for (const size_t column : taken) result.push_back(values[h * columns + column]);
  }
  return result;
}

double RidgePenalty(absl::Span<const double> parameters, size_t dimension, double l2,
                    absl::Span<double> gradient) {
  double penalty = 0;
  for (size_t at = 0; at < parameters.size(); ++at) {
    if (at % (dimension + 1) == dimension) continue;
    penalty += 0.5 * l2 * parameters[at] * parameters[at];
    gradient[at] += l2 * parameters[at];
  }
  return penalty;
}

}  // namespace penstock::router
