#include "router_service/planning/linear_program.h"

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(LinearProgramTest, SolvesATextbookProgramWithItsPrices) {
  // max 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18: x = 2, y = 6, worth 36.
  const LinearSolution solution =
      SolveLinearProgram({{3, 5}, {{1, 0}, {0, 2}, {3, 2}}, {4, 12, 18}});
  EXPECT_TRUE(solution.optimal);
  EXPECT_NEAR(solution.value, 36, 1e-9);
  EXPECT_THAT(solution.x, ElementsAre(DoubleNear(2, 1e-9), DoubleNear(6, 1e-9)));
  EXPECT_THAT(solution.price,
              ElementsAre(DoubleNear(0, 1e-9), DoubleNear(1.5, 1e-9), DoubleNear(1, 1e-9)));
}

TEST(LinearProgramTest, SaysWhenThereIsNoLargestValue) {
  EXPECT_FALSE(SolveLinearProgram({{1, 1}, {{1, -1}}, {1}}).optimal);
}

TEST(LinearProgramTest, EndsWhereEveryLimitIsZero) {
  const LinearSolution solution =
      SolveLinearProgram({{1, 2, 3}, {{1, 1, 1}, {1, -1, 0}, {0, 1, -1}}, {0, 0, 0}});
  EXPECT_TRUE(solution.optimal);
  EXPECT_EQ(solution.value, 0);
}

TEST(LinearProgramTest, PricesProveTheValueOfRandomPrograms) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CounterRandom random(seed, 0);
    const size_t n = 1 + random.Below(12), m = 1 + random.Below(20);
    LinearProgram program;
    for (size_t i = 0; i < n; ++i) program.objective.push_back(random.Uniform());
    for (size_t j = 0; j < m; ++j) {
      program.limits.push_back(random.Below(4) == 0 ? 0 : random.Uniform());
      std::vector<double>& row = program.rows.emplace_back();
      for (size_t i = 0; i < n; ++i) row.push_back(0.05 + random.Uniform());
    }
    const LinearSolution solution = SolveLinearProgram(program);
    ASSERT_TRUE(solution.optimal);
    double primal = 0, dual = 0;
    for (size_t i = 0; i < n; ++i) primal += program.objective[i] * solution.x[i];
    for (size_t j = 0; j < m; ++j) {
      dual += program.limits[j] * solution.price[j];
      double used = 0;
      for (size_t i = 0; i < n; ++i) used += program.rows[j][i] * solution.x[i];
      EXPECT_LE(used, program.limits[j] + 1e-9);
    }
    for (size_t i = 0; i < n; ++i) {
      double worth = 0;
      for (size_t j = 0; j < m; ++j) worth += program.rows[j][i] * solution.price[j];
      EXPECT_GE(worth, program.objective[i] - 1e-9);
    }
    EXPECT_NEAR(primal, dual, 1e-9);
  }
}

}  // namespace
}  // namespace penstock::router
