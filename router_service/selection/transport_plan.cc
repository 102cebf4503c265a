#include "router_service/selection/transport_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::router {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Scalings stay within its inverse and it.
constexpr double kLargestScale = 1e100;

bool InRange(double scale) { return scale <= kLargestScale && scale >= 1 / kLargestScale; }

// log sum exp of term(0), ..., term(count - 1); -inf where all of them are.
template <typename Term>
double LogSumExp(size_t count, const Term& term) {
  double largest = kNever;
  for (size_t k = 0; k < count; ++k) largest = std::max(largest, term(k));
  if (largest == kNever) return kNever;
  double sum = 0;
  for (size_t k = 0; k < count; ++k) sum += std::exp(term(k) - largest);
  return largest + std::log(sum);
}

}  // namespace

void TransportPlan::SetTargets(const BatchProblem& problem) {
  size_t live = 0;
  for (const uint8_t row : live_) live += row;
  double capacity = 0;
  for (const uint32_t of_expert : problem.capacity) capacity += of_expert;
  target_.assign(experts_, 0);
  for (size_t j = 0; j < experts_; ++j) {
    // Where there is not room for all, limits could not be kept: shares of what there is.
    const bool share =
        options_.columns == ColumnRule::kShare || capacity < static_cast<double>(live);
    target_[j] = share ? static_cast<double>(live) * problem.capacity[j] / std::max(1.0, capacity)
                       : problem.capacity[j];
  }
}

void TransportPlan::ProjectByLogarithm() {
  for (size_t i = 0; i < rows_; ++i) {
    if (live_[i]) row_log_[i] += std::log(row_scale_[i]);
  }
  for (size_t j = 0; j < experts_; ++j) {
    const double sum = LogSumExp(rows_, [&](size_t i) {
      return live_[i] ? score_[i * experts_ + j] + row_log_[i] : kNever;
    });
    // A column without capacity, or that nobody may use, takes nothing.
    column_log_[j] = sum == kNever ? kNever : std::log(target_[j]) - sum;
    if (options_.columns == ColumnRule::kLimit) column_log_[j] = std::min(0.0, column_log_[j]);
  }
  for (size_t i = 0; i < rows_; ++i) {
    if (!live_[i]) continue;
    const double* score = score_.data() + i * experts_;
    row_log_[i] = -LogSumExp(experts_, [&](size_t j) { return score[j] + column_log_[j]; });
    double* kernel = kernel_.data() + i * experts_;
    for (size_t j = 0; j < experts_; ++j) {
      kernel[j] = std::exp(score[j] + row_log_[i] + column_log_[j]);
    }
  }
  std::fill(row_scale_.begin(), row_scale_.end(), 1.0);
  std::fill(column_scale_.begin(), column_scale_.end(), 1.0);
}

bool TransportPlan::ProjectByScaling() {
  for (size_t j = 0; j < experts_; ++j) {
    // sums_ are those of the kernel's columns under the rows' scalings.
    double scale = column_log_[j] == kNever ? 1 : target_[j] / sums_[j];
    if (options_.columns == ColumnRule::kLimit && column_log_[j] != kNever) {
      scale = std::min(scale, std::exp(-column_log_[j]));
    }
    if (!InRange(scale)) return false;
    next_columns_[j] = scale;
  }
  for (size_t i = 0; i < rows_; ++i) {
    next_rows_[i] = 1;
    if (!live_[i]) continue;
    const double* kernel = kernel_.data() + i * experts_;
    double sum = 0;
    for (size_t j = 0; j < experts_; ++j) sum += kernel[j] * next_columns_[j];
    next_rows_[i] = 1 / sum;
    if (!InRange(next_rows_[i])) return false;
  }
  column_scale_.swap(next_columns_);
  row_scale_.swap(next_rows_);
  return true;
}

bool TransportPlan::ColumnsHold() {
  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (size_t i = 0; i < rows_; ++i) {
    if (!live_[i]) continue;
    const double* kernel = kernel_.data() + i * experts_;
    for (size_t j = 0; j < experts_; ++j) sums_[j] += kernel[j] * row_scale_[i];
  }
  for (size_t j = 0; j < experts_; ++j) {
    const double excess = sums_[j] * column_scale_[j] - target_[j];
    const double allowed = options_.tolerance * std::max(1.0, target_[j]);
    const bool may_stay_below = options_.columns == ColumnRule::kLimit &&
                                column_log_[j] + std::log(column_scale_[j]) >= -options_.tolerance;
    if (may_stay_below ? excess > allowed : std::abs(excess) > allowed) return false;
  }
  return true;
}

void TransportPlan::Solve(const BatchProblem& problem) {
  rows_ = problem.requests;
  experts_ = problem.experts();
  score_.assign(problem.affinity.begin(), problem.affinity.end());
  live_.assign(rows_, 0);
  for (size_t i = 0; i < rows_; ++i) {
    double largest = kNever;
    for (size_t j = 0; j < experts_; ++j) {
      double& score = score_[i * experts_ + j];
      const bool admissible = std::isfinite(score) && problem.capacity[j] > 0;
      score = admissible ? score / options_.entropy : kNever;
      largest = std::max(largest, score);
    }
    live_[i] = largest != kNever;
    // A row's constant changes nothing; without it no sum overflows.
    for (size_t j = 0; live_[i] && j < experts_; ++j) score_[i * experts_ + j] -= largest;
  }
  SetTargets(problem);
  row_log_.assign(rows_, 0);
  column_log_.assign(experts_, 0);
  kernel_.assign(rows_ * experts_, 0);
  row_scale_.assign(rows_, 1);
  column_scale_.assign(experts_, 1);
  next_rows_.assign(rows_, 1);
  next_columns_.assign(experts_, 1);
  sums_.assign(experts_, 0);

  converged_ = false;
  ProjectByLogarithm();
  for (iterations_ = 1;; ++iterations_) {
    converged_ = ColumnsHold();
    if (converged_ || iterations_ >= options_.iterations) break;
    if (!ProjectByScaling()) ProjectByLogarithm();
  }
  plan_.assign(rows_ * experts_, 0);
  for (size_t i = 0; i < rows_; ++i) {
    if (!live_[i]) continue;
    for (size_t j = 0; j < experts_; ++j) {
      const size_t at = i * experts_ + j;
      plan_[at] = row_scale_[i] * kernel_[at] * column_scale_[j];
    }
  }
}

}  // namespace penstock::router
