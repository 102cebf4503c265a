#include "router_service/baselines/ridge.h"

#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

SparseRows Column(const std::vector<float>& values) {
  SparseRows x;
  x.columns = 1;
  for (const float value : values) {
    x.column.push_back(0);
    x.value.push_back(value);
    x.begin.push_back(x.value.size());
  }
  return x;
}

TEST(RidgeTest, WithoutPenaltyItIsTheLeastSquaresLine) {
  const SparseRows x = Column({0, 1, 2});
  const std::vector<float> y = {1, 3, 5};
  const std::vector<float> p = Ridge::Fit(x, y, 1, 0).Predict(Column({3}));
  EXPECT_NEAR(p[0], 7, 1e-4);
}

TEST(RidgeTest, ThePenaltyShrinksTheSlopeAndNotTheMean) {
  // Centred: sum x^2 = 2, sum xy = 4; slope 4 / (2 + 2) = 1 about the mean (1, 3).
  const std::vector<float> p =
      Ridge::Fit(Column({0, 1, 2}), std::vector<float>{1, 3, 5}, 1, 2).Predict(Column({1, 2}));
  EXPECT_NEAR(p[0], 3, 1e-4);
  EXPECT_NEAR(p[1], 4, 1e-4);
}

TEST(RidgeTest, OutputsDoNotDisturbEachOther) {
  const SparseRows x = Column({0, 1, 2});
  const std::vector<float> both = {1, 3, 5, 0, 0, 6};
  const std::vector<float> second = {0, 0, 6};
  const std::vector<float> p = Ridge::Fit(x, both, 2, 1).Predict(x);
  const std::vector<float> alone = Ridge::Fit(x, second, 1, 1).Predict(x);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(p[3 + i], alone[i], 1e-5);
}

}  // namespace
}  // namespace penstock::router
