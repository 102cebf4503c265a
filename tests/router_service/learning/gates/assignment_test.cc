#include "router_service/learning/gates/assignment.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

std::vector<double> Costs(size_t n, uint64_t sequence) {
  CounterRandom random(2, sequence);
  std::vector<double> cost(n * n);
  for (double& value : cost) value = 2 * random.Uniform() - 1;
  return cost;
}

double Total(const std::vector<double>& cost, const std::vector<size_t>& column_of) {
  double total = 0;
  for (size_t row = 0; row < column_of.size(); ++row) {
    total += cost[row * column_of.size() + column_of[row]];
  }
  return total;
}

// Each row in order takes the cheapest column that is left.
std::vector<size_t> Greedy(const std::vector<double>& cost, size_t n) {
  std::vector<size_t> column_of;
  for (size_t row = 0; row < n; ++row) {
    size_t best = n;
    for (size_t j = 0; j < n; ++j) {
      const bool taken = std::find(column_of.begin(), column_of.end(), j) != column_of.end();
      if (!taken && (best == n || cost[row * n + j] < cost[row * n + best])) best = j;
    }
    column_of.push_back(best);
  }
  return column_of;
}

TEST(CheapestAssignment, SolvesAKnownCase) {
  EXPECT_THAT(CheapestAssignment(std::vector<double>{4, 1, 3, 2, 0, 5, 3, 2, 2}, 3),
              ElementsAre(1, 0, 2));
  EXPECT_THAT(CheapestAssignment(std::vector<double>{7}, 1), ElementsAre(0));
}

TEST(CheapestAssignment, IsThePermutationOfLeastCost) {
  constexpr size_t n = 6;
  for (uint64_t sequence = 0; sequence < 20; ++sequence) {
    const std::vector<double> cost = Costs(n, sequence);
    std::vector<size_t> permutation(n);
    std::iota(permutation.begin(), permutation.end(), size_t{0});
    double least = std::numeric_limits<double>::infinity();
    do {
      least = std::min(least, Total(cost, permutation));
    } while (std::next_permutation(permutation.begin(), permutation.end()));
    EXPECT_NEAR(Total(cost, CheapestAssignment(cost, n)), least, 1e-12);
  }
}

TEST(CheapestAssignment, IsNeverDearerThanGreedy) {
  double saved = 0;
  for (uint64_t sequence = 0; sequence < 50; ++sequence) {
    const size_t n = 2 + sequence % 20;
    const std::vector<double> cost = Costs(n, 100 + sequence);
    const double greedy = Total(cost, Greedy(cost, n));
    const double cheapest = Total(cost, CheapestAssignment(cost, n));
    EXPECT_LE(cheapest, greedy + 1e-12);
    saved += greedy - cheapest;
  }
  EXPECT_GT(saved, 1);
}

}  // namespace
}  // namespace penstock::router
