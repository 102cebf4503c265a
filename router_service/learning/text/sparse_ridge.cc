#include "router_service/learning/text/sparse_ridge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "router_service/learning/text/in_parts.h"

namespace penstock::router {
namespace {

// Residual over right-hand side at which a target is solved: predictions then move by less than
// 1e-4 of the target's own spread, far below what any label says.
constexpr double kTolerance = 1e-4;
constexpr int kMostIterations = 300;

}  // namespace

void SparseRidge::Weights::Predict(absl::Span<const uint32_t> at, absl::Span<const float> value,
                                   absl::Span<const uint32_t> place_of,
                                   absl::Span<double> scores) const {
  std::copy(mean.begin(), mean.end(), scores.begin());
  for (size_t i = 0; i < at.size(); ++i) {
    const size_t place = place_of[at[i]];
    if (place == columns.size()) continue;
    const float* of_column = weight.data() + place * targets;
    for (size_t t = 0; t < targets; ++t) {
      scores[t] += static_cast<double>(value[i]) * of_column[t];
    }
  }
}

std::vector<uint32_t> SparseRidge::Weights::Places(size_t columns_in_all) const {
  std::vector<uint32_t> place_of(columns_in_all, static_cast<uint32_t>(columns.size()));
  for (size_t place = 0; place < columns.size(); ++place) {
    place_of[columns[place]] = static_cast<uint32_t>(place);
  }
  return place_of;
}

SparseRidge::SparseRidge(SparseRows x) : rows_(x.rows()), diagonal_(x.rows(), 0.0f) {
  std::vector<uint32_t> count(x.columns, 0);
  for (const uint32_t j : x.column) ++count[j];
  std::vector<uint32_t> place_of(x.columns, 0);
  for (const bool shared : {true, false}) {
    for (size_t j = 0; j < x.columns; ++j) {
      if (count[j] == 0 || (count[j] > 1) != shared) continue;
      place_of[j] = static_cast<uint32_t>(column_of_.size());
      column_of_.push_back(static_cast<uint32_t>(j));
    }
    if (shared) shared_ = column_of_.size();
  }
  place_begin_.assign(column_of_.size() + 1, 0);
  for (size_t place = 0; place < column_of_.size(); ++place) {
    place_begin_[place + 1] = place_begin_[place] + count[column_of_[place]];
  }
  place_row_.resize(x.column.size());
  place_value_.resize(x.column.size());
  std::vector<size_t> next(place_begin_.begin(), place_begin_.end() - 1);
  size_t kept = 0;  // entries of shared columns move up to the front
  for (size_t row = 0; row < rows_; ++row) {
    const size_t first = x.begin[row], last = x.begin[row + 1];
    x.begin[row] = kept;
    for (size_t i = first; i < last; ++i) {
      const uint32_t place = place_of[x.column[i]];
      const float value = x.value[i];
      place_row_[next[place]] = static_cast<uint32_t>(row);
      place_value_[next[place]++] = value;
      if (place >= shared_) {
        diagonal_[row] += value * value;
      } else {
        x.column[kept] = place;
        x.value[kept++] = value;
      }
    }
  }
  x.begin[rows_] = kept;
  shared_entries_ = std::move(x);
}

void SparseRidge::Transposed(const std::vector<float>& in, size_t targets, size_t places,
                             std::vector<float>& out) const {
  out.resize(places * targets);
  InParts(places, 4096, [&](size_t first, size_t last) {
    for (size_t place = first; place < last; ++place) {
      float* __restrict to = out.data() + place * targets;
      std::fill(to, to + targets, 0.0f);
      for (size_t i = place_begin_[place]; i < place_begin_[place + 1]; ++i) {
        const float value = place_value_[i];
        const float* __restrict from = in.data() + place_row_[i] * targets;
        for (size_t t = 0; t < targets; ++t) to[t] += value * from[t];
      }
    }
  });
}

void SparseRidge::Multiply(const std::vector<float>& in, size_t targets, std::vector<float>& spare,
                           std::vector<float>& out) const {
  Transposed(in, targets, shared_, spare);
  InParts(rows_, 512, [&](size_t first, size_t last) {
    for (size_t row = first; row < last; ++row) {
      float* __restrict to = out.data() + row * targets;
      const float* own = in.data() + row * targets;
      for (size_t t = 0; t < targets; ++t) to[t] = diagonal_[row] * own[t];
      for (size_t i = shared_entries_.begin[row]; i < shared_entries_.begin[row + 1]; ++i) {
        const float value = shared_entries_.value[i];
        const float* __restrict from =
            spare.data() + static_cast<size_t>(shared_entries_.column[i]) * targets;
        for (size_t t = 0; t < targets; ++t) to[t] += value * from[t];
      }
    }
  });
}

SparseRidge::Weights SparseRidge::Solve(absl::Span<const float> y,
                                        absl::Span<const double> lambda) const {
  const size_t targets = lambda.size();
  Weights result;
  result.targets = targets;
  result.mean.assign(targets, 0.0);
  std::vector<double> known(targets, 0.0);
  for (size_t at = 0; at < y.size(); ++at) {
    if (std::isnan(y[at])) continue;
    result.mean[at % targets] += y[at];
    known[at % targets] += 1;
  }
  for (size_t t = 0; t < targets; ++t) result.mean[t] /= std::max(known[t], 1.0);

  std::vector<float> a(y.size(), 0.0f), r(y.size(), 0.0f), product(y.size()), spare;
  for (size_t at = 0; at < y.size(); ++at) {
    if (!std::isnan(y[at])) r[at] = static_cast<float>(y[at] - result.mean[at % targets]);
  }
  std::vector<float> p = r;
  const auto squares = [&](const std::vector<float>& v, const std::vector<float>& w) {
    std::vector<double> sums(targets, 0.0);
    for (size_t at = 0, t = 0; at < v.size(); ++at, t = t + 1 == targets ? 0 : t + 1) {
      sums[t] += static_cast<double>(v[at]) * w[at];
    }
    return sums;
  };
  std::vector<double> rr = squares(r, r);
  std::vector<double> enough = rr;
  for (double& value : enough) value *= kTolerance * kTolerance;
  std::vector<float> step(targets), turn(targets);
  for (iterations_ = 0; iterations_ < kMostIterations; ++iterations_) {
    bool all = true;
    for (size_t t = 0; t < targets; ++t) all = all && rr[t] <= enough[t];
    if (all) break;
    Multiply(p, targets, spare, product);
    for (size_t at = 0, t = 0; at < p.size(); ++at, t = t + 1 == targets ? 0 : t + 1) {
      product[at] = std::isnan(y[at]) ? 0.0f
                                      : product[at] + static_cast<float>(lambda[t]) * p[at];
    }
    const std::vector<double> curvature = squares(p, product);
    for (size_t t = 0; t < targets; ++t) {
      // A target that is solved stays where it is.
      step[t] = rr[t] > enough[t] && curvature[t] > 0 ? static_cast<float>(rr[t] / curvature[t])
                                                      : 0.0f;
    }
    for (size_t at = 0, t = 0; at < p.size(); ++at, t = t + 1 == targets ? 0 : t + 1) {
      a[at] += step[t] * p[at];
      r[at] -= step[t] * product[at];
    }
    const std::vector<double> next = squares(r, r);
    for (size_t t = 0; t < targets; ++t) {
      turn[t] = step[t] > 0 ? static_cast<float>(next[t] / rr[t]) : 0.0f;
    }
    for (size_t at = 0, t = 0; at < p.size(); ++at, t = t + 1 == targets ? 0 : t + 1) {
      p[at] = r[at] + turn[t] * p[at];
    }
    rr = next;
  }

  Transposed(a, targets, column_of_.size(), spare);
  std::vector<uint32_t> order(column_of_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](uint32_t l, uint32_t m) { return column_of_[l] < column_of_[m]; });
  result.columns.reserve(order.size());
  result.weight.reserve(order.size() * targets);
  for (const uint32_t place : order) {
    result.columns.push_back(column_of_[place]);
    const auto from = spare.begin() + static_cast<std::ptrdiff_t>(place * targets);
    result.weight.insert(result.weight.end(), from, from + static_cast<std::ptrdiff_t>(targets));
  }
  return result;
}

std::vector<float> SparseRidge::SquaresOfColumns() const {
  std::vector<std::pair<uint32_t, float>> squares;
  for (size_t place = 0; place < column_of_.size(); ++place) {
    double sum = 0;
    for (size_t i = place_begin_[place]; i < place_begin_[place + 1]; ++i) {
      sum += static_cast<double>(place_value_[i]) * place_value_[i];
    }
    squares.emplace_back(column_of_[place], static_cast<float>(sum));
  }
  std::sort(squares.begin(), squares.end());
  std::vector<float> result;
  for (const auto& [column, sum] : squares) result.push_back(sum);
  return result;
}

}  // namespace penstock::router
