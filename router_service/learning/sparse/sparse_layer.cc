#include "router_service/learning/sparse/sparse_layer.h"

#include <cmath>

namespace penstock::router {

void AdamParameters::Update(size_t row, int64_t step, const AdamOptions& options) {
  constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;
  const double age = static_cast<double>(step);
  const float rate = static_cast<float>(options.rate / (1 - std::pow(double{kBeta1}, age)));
  const float scale = static_cast<float>(1 / (1 - std::pow(double{kBeta2}, age)));
  const float decay = static_cast<float>(1 - options.rate * options.weight_decay);
  float* v = value.data() + row * width_;
  float* g = gradient.data() + row * width_;
  float* m = first_.data() + row * width_;
  float* s = second_.data() + row * width_;
  for (size_t i = 0; i < width_; ++i) {
    m[i] = kBeta1 * m[i] + (1 - kBeta1) * g[i];
    s[i] = kBeta2 * s[i] + (1 - kBeta2) * g[i] * g[i];
    v[i] = decay * v[i] - rate * m[i] / (std::sqrt(scale * s[i]) + kEpsilon);
    g[i] = 0;
  }
}

void SparseLayer::Forward(const SparseRows& x, size_t row, absl::Span<float> out) const {
  const size_t width = parameters_.width();
  for (size_t i = x.begin[row]; i < x.begin[row + 1]; ++i) {
    const float* weight = parameters_.value.data() + size_t{x.column[i]} * width;
    const float value = x.value[i];
    for (size_t k = 0; k < width; ++k) out[k] += value * weight[k];
  }
}

void SparseLayer::Backward(const SparseRows& x, size_t row, absl::Span<const float> gradient) {
  const size_t width = parameters_.width();
  for (size_t i = x.begin[row]; i < x.begin[row + 1]; ++i) {
    const uint32_t column = x.column[i];
    if (!touched_[column]) {
      touched_[column] = 1;
      list_.push_back(column);
    }
    float* sum = parameters_.gradient.data() + size_t{column} * width;
    const float value = x.value[i];
    for (size_t k = 0; k < width; ++k) sum[k] += value * gradient[k];
  }
}

void SparseLayer::Step(int64_t step, const AdamOptions& options) {
  for (const uint32_t column : list_) {
    parameters_.Update(column, step, options);
    touched_[column] = 0;
  }
  list_.clear();
}

}  // namespace penstock::router
