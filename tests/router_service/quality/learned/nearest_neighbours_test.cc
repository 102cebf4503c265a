#include "router_service/quality/learned/nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

SparseRows RandomRows(size_t rows, uint64_t seed) {
  SparseRows x;
  x.columns = 40;
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(seed, row);
    for (uint32_t column = 0; column < x.columns; ++column) {
      if (random.Below(5) != 0) continue;
      x.column.push_back(column);
      x.value.push_back(static_cast<float>(random.Uniform()));
    }
    x.begin.push_back(x.value.size());
  }
  return x;
}

float Dot(const SparseRows& a, size_t i, const SparseRows& b, size_t k) {
  float dot = 0;
  for (size_t m = 0; m < a.Columns(i).size(); ++m) {
    for (size_t n = 0; n < b.Columns(k).size(); ++n) {
      if (a.Columns(i)[m] == b.Columns(k)[n]) dot += a.Values(i)[m] * b.Values(k)[n];
    }
  }
  return dot;
}

TEST(NearestNeighboursTest, FindsWhatComparingWithEveryRowFinds) {
  const SparseRows x = RandomRows(97, 1), queries = RandomRows(20, 2);
  const NearestNeighbours index(x);
  for (size_t query = 0; query < queries.rows(); ++query) {
    std::vector<Neighbour> all;
    for (size_t row = 0; row < x.rows(); ++row) {
      all.push_back({static_cast<uint32_t>(row), Dot(queries, query, x, row)});
    }
    std::stable_sort(all.begin(), all.end(), [](const Neighbour& a, const Neighbour& b) {
      return a.similarity > b.similarity;
    });
    const std::vector<Neighbour> found =
        index.Find(queries.Columns(query), queries.Values(query), 5);
    ASSERT_EQ(found.size(), 5u);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].row, all[i].row);
  }
}

TEST(NearestNeighboursTest, TiesGoToTheLowerRow) {
  SparseRows x;
  x.columns = 1;
  for (int i = 0; i < 3; ++i) {
    x.column.push_back(0);
    x.value.push_back(1);
    x.begin.push_back(x.value.size());
  }
  const std::vector<Neighbour> found = NearestNeighbours(x).Find(x.Columns(0), x.Values(0), 2);
  EXPECT_EQ(found[0].row, 0u);
  EXPECT_EQ(found[1].row, 1u);
}

TEST(NearestNeighboursTest, OneNeighbourOfATrainingPromptIsItselfAndTellsItsLabel) {
  SparseRows x = RandomRows(50, 3);
  std::vector<float> labels(50);
  for (size_t row = 0; row < 50; ++row) labels[row] = static_cast<float>(row % 2);
  for (size_t row = 0; row < 50; ++row) {  // rows of length 1: nobody is closer than oneself
    double square = 0;
    for (const float value : x.Values(row)) square += double{value} * value;
    for (size_t i = x.begin[row]; i < x.begin[row + 1]; ++i) {
      x.value[i] /= static_cast<float>(std::sqrt(square));
    }
  }
  const NearestNeighbours index(x);
  for (size_t row = 0; row < 50; ++row) {
    const auto found = index.Find(x.Columns(row), x.Values(row), 1);
    EXPECT_EQ(ShrunkenMean(found, labels, .5, 0, 0).mean, labels[row]);
  }
}

TEST(ShrunkenMeanTest, WithoutAPriorItIsTheMeanLabel) {
  const std::vector<Neighbour> near = {{0, .9f}, {1, .8f}, {2, .1f}};
  EXPECT_DOUBLE_EQ(ShrunkenMean(near, std::vector<float>{1, 0, 0}, .9, 0, 0).mean, 1 / 3.0);
}

TEST(ShrunkenMeanTest, ThePriorCountsAsSoManyNeighbours) {
  const std::vector<Neighbour> near = {{0, 1}, {1, 1}};
  // (2 * 1 + 2 * .5) / 4
  EXPECT_DOUBLE_EQ(ShrunkenMean(near, std::vector<float>{1, 1}, .5, 2, 0).mean, .75);
}

TEST(ShrunkenMeanTest, UnequalWeightsCountAsFewerNeighbours) {
  // One neighbour outweighs the other by far: one observation, not two.
  const std::vector<Neighbour> near = {{0, 1}, {1, 0}};
  const NeighbourLabel label = ShrunkenMean(near, std::vector<float>{1, 0}, 0, 1, .01);
  EXPECT_NEAR(label.mean, .5, 1e-6);
  EXPECT_NEAR(label.deviation, std::sqrt(.25 / 2), 1e-6);
}

TEST(ShrunkenMeanTest, WithoutNeighboursItIsThePrior) {
  EXPECT_EQ(ShrunkenMean({}, {}, .3, 2, 0).mean, .3);
}

}  // namespace
}  // namespace penstock::router
