#include "router_service/learning/text/sparse_ridge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/random.h"

namespace penstock::router {
namespace {

SparseRows Dense(const std::vector<std::vector<float>>& rows) {
  SparseRows x;
  x.columns = rows[0].size();
  for (const auto& row : rows) {
    std::vector<uint32_t> at;
    std::vector<float> value;
    for (size_t j = 0; j < row.size(); ++j) {
      if (row[j] == 0) continue;
      at.push_back(static_cast<uint32_t>(j));
      value.push_back(row[j]);
    }
    x.Add(at, value);
  }
  return x;
}

// (X^T X + lambda) w = X^T (y - mean), by elimination.
std::vector<double> ClosedForm(const std::vector<std::vector<float>>& x,
                               const std::vector<float>& y, double lambda) {
  const size_t d = x[0].size();
  double mean = 0;
  for (const float value : y) mean += value / static_cast<double>(y.size());
  std::vector<std::vector<double>> a(d, std::vector<double>(d + 1, 0.0));
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < d; ++j) {
      for (size_t k = 0; k < d; ++k) a[j][k] += static_cast<double>(x[i][j]) * x[i][k];
      a[j][d] += x[i][j] * (y[i] - mean);
    }
  }
  for (size_t j = 0; j < d; ++j) a[j][j] += lambda;
  for (size_t j = 0; j < d; ++j) {
    for (size_t i = 0; i < d; ++i) {
      if (i == j) continue;
      const double factor = a[i][j] / a[j][j];
      for (size_t k = j; k <= d; ++k) a[i][k] -= factor * a[j][k];
    }
  }
  std::vector<double> w;
  for (size_t j = 0; j < d; ++j) w.push_back(a[j][d] / a[j][j]);
  return w;
}

TEST(SparseRidge, EqualsTheClosedForm) {
  // Column 3 is in one row only: the solver keeps it on the diagonal.
  const std::vector<std::vector<float>> x = {
      {1, 0, 2, 0}, {0, 1, 1, 0}, {1, 1, 0, 3}, {2, 0, 1, 0}, {0, 3, 0, 0}};
  const std::vector<float> y = {1, 0, 0.5f, 1, 0.25f};
  for (const double lambda : {0.1, 3.0, 100.0}) {
    const SparseRidge::Weights weights =
        SparseRidge(Dense(x)).Solve(y, absl::MakeConstSpan(&lambda, 1));
    const std::vector<double> expected = ClosedForm(x, y, lambda);
    ASSERT_EQ(weights.columns.size(), 4u);
    for (size_t j = 0; j < 4; ++j) EXPECT_NEAR(weights.weight[j], expected[j], 2e-4) << lambda;
    EXPECT_NEAR(weights.mean[0], 0.55, 1e-6);
  }
}

TEST(SparseRidge, TargetsDoNotMix) {
  CounterRandom random(1, 2);
  SparseRows x;
  x.columns = 50;
  std::vector<float> both, first, second;
  for (int row = 0; row < 40; ++row) {
    std::vector<uint32_t> at;
    std::vector<float> value;
    for (uint32_t j = 0; j < 50; ++j) {
      if (random.Uniform() > 0.2) continue;
      at.push_back(j);
      value.push_back(static_cast<float>(random.Uniform()));
    }
    x.Add(at, value);
    first.push_back(static_cast<float>(random.Uniform()));
    second.push_back(row % 3 == 0 ? std::nanf("") : static_cast<float>(random.Uniform()));
    both.push_back(first.back());
    both.push_back(second.back());
  }
  const SparseRidge ridge(x);
  const double lambda[] = {1, 5};
  const auto together = ridge.Solve(both, lambda);
  const auto one = ridge.Solve(first, absl::MakeConstSpan(lambda, 1));
  const auto other = ridge.Solve(second, absl::MakeConstSpan(lambda + 1, 1));
  for (size_t j = 0; j < together.columns.size(); ++j) {
    EXPECT_NEAR(together.weight[2 * j], one.weight[j], 1e-4);
    EXPECT_NEAR(together.weight[2 * j + 1], other.weight[j], 1e-4);
  }
}

TEST(SparseRidge, ARowWhoseTargetIsUnknownTeachesNothing) {
  const std::vector<std::vector<float>> x = {{1, 0}, {0, 1}, {1, 1}};
  const float unknown = std::nanf("");
  const double lambda = 1;
  const auto with = SparseRidge(Dense({{1, 0}, {0, 1}, {1, 1}, {5, 5}}))
                        .Solve({1, 0, 1, unknown}, absl::MakeConstSpan(&lambda, 1));
  const std::vector<double> expected = ClosedForm(x, {1, 0, 1}, 1);
  EXPECT_NEAR(with.weight[0], expected[0], 1e-4);
  EXPECT_NEAR(with.weight[1], expected[1], 1e-4);
}

TEST(SparseRidge, IsTheSameBitsEveryTime) {
  const std::vector<std::vector<float>> x = {{1, 2, 3}, {3, 1, 1}, {0, 1, 7}, {4, 0, 1}};
  const double lambda = 0.5;
  const auto solve = [&] {
    return SparseRidge(Dense(x)).Solve({1, 0, 1, 0}, absl::MakeConstSpan(&lambda, 1)).weight;
  };
  EXPECT_EQ(solve(), solve());
}

}  // namespace
}  // namespace penstock::router
