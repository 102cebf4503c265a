#pragma once

#include <cmath>
#include <cstdint>

namespace penstock::router {

// Mean and standard error of numbers as they come, in one pass and without cancellation: Welford
// 1962, Note on a Method for Calculating Corrected Sums of Squares and Products.
class RunningMean {
 public:
  void Add(double value) {
    ++count_;
    const double off = value - mean_;
    mean_ += off / static_cast<double>(count_);
    squares_ += off * (value - mean_);
  }

  uint64_t count() const { return count_; }
  double mean() const { return mean_; }
  // Of the mean; 0 below two numbers.
  double standard_error() const {
    if (count_ < 2) return 0;
    const double n = static_cast<double>(count_);
    return std::sqrt(squares_ / (n - 1) / n);
  }

 private:
  uint64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // of the differences from the mean
};

}  // namespace penstock::router
