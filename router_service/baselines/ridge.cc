#include "router_service/baselines/ridge.h"

#include <cmath>

namespace penstock::router {
namespace {

constexpr int kMostSteps = 500;
constexpr double kTolerance = 1e-5;

// X minus its column means, without storing it: [rows, columns] times [columns, outputs].
class CentredRows {
 public:
  CentredRows(const SparseRows& x, size_t outputs) : x_(x), outputs_(outputs), mean_(x.columns) {
    for (size_t i = 0; i < x.value.size(); ++i) mean_[x.column[i]] += x.value[i];
    for (double& mean : mean_) mean /= static_cast<double>(x.rows());
  }

  const std::vector<double>& mean() const { return mean_; }

  std::vector<double> Times(const std::vector<double>& w) const {
    std::vector<double> shift(outputs_);
    for (size_t column = 0; column < x_.columns; ++column) {
      for (size_t o = 0; o < outputs_; ++o) shift[o] += mean_[column] * w[column * outputs_ + o];
    }
    std::vector<double> product(x_.rows() * outputs_);
    for (size_t row = 0; row < x_.rows(); ++row) {
      double* out = product.data() + row * outputs_;
      for (size_t o = 0; o < outputs_; ++o) out[o] = -shift[o];
      for (size_t i = x_.begin[row]; i < x_.begin[row + 1]; ++i) {
        const double* weight = w.data() + size_t{x_.column[i]} * outputs_;
        for (size_t o = 0; o < outputs_; ++o) out[o] += x_.value[i] * weight[o];
      }
    }
    return product;
  }

  std::vector<double> TransposedTimes(const std::vector<double>& r) const {
    std::vector<double> sum(outputs_), product(x_.columns * outputs_);
    for (size_t row = 0; row < x_.rows(); ++row) {
      const double* in = r.data() + row * outputs_;
      for (size_t o = 0; o < outputs_; ++o) sum[o] += in[o];
      for (size_t i = x_.begin[row]; i < x_.begin[row + 1]; ++i) {
        double* out = product.data() + size_t{x_.column[i]} * outputs_;
        for (size_t o = 0; o < outputs_; ++o) out[o] += x_.value[i] * in[o];
      }
    }
    for (size_t column = 0; column < x_.columns; ++column) {
      for (size_t o = 0; o < outputs_; ++o) product[column * outputs_ + o] -= mean_[column] * sum[o];
    }
    return product;
  }

 private:
  const SparseRows& x_;
  const size_t outputs_;
  std::vector<double> mean_;
};

std::vector<double> DotByOutput(const std::vector<double>& a, const std::vector<double>& b,
                                size_t outputs) {
  std::vector<double> dot(outputs);
  for (size_t i = 0; i < a.size(); i += outputs) {
    for (size_t o = 0; o < outputs; ++o) dot[o] += a[i + o] * b[i + o];
  }
  return dot;
}

}  // namespace

Ridge Ridge::Fit(const SparseRows& x, absl::Span<const float> targets, size_t outputs,
                 double penalty) {
  const size_t rows = x.rows();
  std::vector<double> target_mean(outputs), y(rows * outputs);
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t row = 0; row < rows; ++row) target_mean[o] += targets[o * rows + row];
    target_mean[o] /= static_cast<double>(rows);
    for (size_t row = 0; row < rows; ++row) {
      y[row * outputs + o] = targets[o * rows + row] - target_mean[o];
    }
  }
  const CentredRows design(x, outputs);
  std::vector<double> w(x.columns * outputs);
  std::vector<double> residual = design.TransposedTimes(y);
  std::vector<double> direction = residual;
  std::vector<double> square = DotByOutput(residual, residual, outputs);
  const std::vector<double> start = square;
  for (int step = 0; step < kMostSteps; ++step) {
    std::vector<double> image = design.TransposedTimes(design.Times(direction));
    for (size_t i = 0; i < image.size(); ++i) image[i] += penalty * direction[i];
    const std::vector<double> curvature = DotByOutput(direction, image, outputs);
    std::vector<double> length(outputs);
    for (size_t o = 0; o < outputs; ++o) {
      length[o] = curvature[o] > 0 ? square[o] / curvature[o] : 0;
    }
    for (size_t i = 0; i < w.size(); i += outputs) {
      for (size_t o = 0; o < outputs; ++o) {
        w[i + o] += length[o] * direction[i + o];
        residual[i + o] -= length[o] * image[i + o];
      }
    }
    const std::vector<double> next = DotByOutput(residual, residual, outputs);
    bool done = true;
    std::vector<double> keep(outputs);
    for (size_t o = 0; o < outputs; ++o) {
      keep[o] = square[o] > 0 ? next[o] / square[o] : 0;
      done = done && next[o] <= kTolerance * kTolerance * start[o];
    }
    square = next;
    if (done) break;
    for (size_t i = 0; i < w.size(); i += outputs) {
      for (size_t o = 0; o < outputs; ++o) {
        direction[i + o] = residual[i + o] + keep[o] * direction[i + o];
      }
    }
  }
  Ridge fit;
  fit.outputs_ = outputs;
  fit.weight_.assign(w.begin(), w.end());
  fit.intercept_.resize(outputs);
  for (size_t o = 0; o < outputs; ++o) {
    double shift = 0;
    for (size_t column = 0; column < x.columns; ++column) {
      shift += design.mean()[column] * w[column * outputs + o];
    }
    fit.intercept_[o] = static_cast<float>(target_mean[o] - shift);
  }
  return fit;
}

std::vector<float> Ridge::Predict(const SparseRows& x) const {
  std::vector<float> out(outputs_ * x.rows());
  std::vector<double> sum(outputs_);
  for (size_t row = 0; row < x.rows(); ++row) {
    for (size_t o = 0; o < outputs_; ++o) sum[o] = intercept_[o];
    for (size_t i = x.begin[row]; i < x.begin[row + 1]; ++i) {
      const float* weight = weight_.data() + size_t{x.column[i]} * outputs_;
      for (size_t o = 0; o < outputs_; ++o) sum[o] += double{x.value[i]} * weight[o];
    }
    for (size_t o = 0; o < outputs_; ++o) out[o * x.rows() + row] = static_cast<float>(sum[o]);
  }
  return out;
}

}  // namespace penstock::router
