#include "router_service/learning/linear/softmax_regression.h"

#include <cmath>
#include <numeric>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(Minimise, FindsTheMinimumOfAQuadratic) {
  // (x - 3)^2 + 100 (y + 1)^2
  std::vector<double> x = {0, 0};
  const double value = Minimise(
      [](const std::vector<double>& at, std::vector<double>& gradient) {
        gradient = {2 * (at[0] - 3), 200 * (at[1] + 1)};
        return (at[0] - 3) * (at[0] - 3) + 100 * (at[1] + 1) * (at[1] + 1);
      },
      x);
  EXPECT_NEAR(x[0], 3, 1e-4);
  EXPECT_NEAR(x[1], -1, 1e-4);
  EXPECT_NEAR(value, 0, 1e-7);
}

struct Planted {
  std::vector<float> x, targets;
  std::vector<int> fold;
};

// Soft targets of known weights, with features of very different scales.
constexpr size_t kClasses = 3, kDimension = 2, kRows = 600;
constexpr double kWeight[kClasses][kDimension] = {{1.0, -0.02}, {-0.5, 0.01}, {-0.5, 0.01}};
// The second feature is around 550, which the biases make up for.
constexpr double kBias[kClasses] = {11.3, -5.1, -6.2};

Planted Plant() {
  Planted planted;
  planted.targets.resize(kClasses * kRows);
  for (size_t row = 0; row < kRows; ++row) {
    CounterRandom random(21, row);
    const double z[kDimension] = {2 * random.Uniform() - 1, 100 * random.Uniform() + 500};
    planted.x.push_back(static_cast<float>(z[0]));
    planted.x.push_back(static_cast<float>(z[1]));
    planted.fold.push_back(static_cast<int>(random.Below(5)));
    double mass = 0, e[kClasses];
    for (size_t c = 0; c < kClasses; ++c) {
      e[c] = std::exp(kWeight[c][0] * z[0] + kWeight[c][1] * z[1] + kBias[c]);
      mass += e[c];
    }
    for (size_t c = 0; c < kClasses; ++c) {
      planted.targets[c * kRows + row] = static_cast<float>(e[c] / mass);
    }
  }
  return planted;
}

TEST(SoftmaxRegression, RecoversPlantedWeights) {
  const Planted planted = Plant();
  const SoftmaxFit fit = FitSoftmaxByFolds(planted.x, kDimension, planted.targets, kClasses,
                                           planted.fold, 5, {0.1, 1e-6});
  EXPECT_EQ(fit.l2, 1e-6);
  // Weights are known up to a vector common to all classes.
  for (size_t c = 1; c < kClasses; ++c) {
    EXPECT_NEAR(fit.weight[c * 2] - fit.weight[0], kWeight[c][0] - kWeight[0][0], 0.01);
    EXPECT_NEAR(fit.weight[c * 2 + 1] - fit.weight[1], kWeight[c][1] - kWeight[0][1], 3e-4);
    EXPECT_NEAR(fit.bias[c] - fit.bias[0], kBias[c] - kBias[0], 0.15);  // 500 x 3e-4
  }
}

TEST(SoftmaxRegression, GivesTheSameFitTwice) {
  const Planted planted = Plant();
  const auto fit = [&] {
    return FitSoftmaxByFolds(planted.x, kDimension, planted.targets, kClasses, planted.fold, 5,
                             {0.1, 0.01});
  };
  const SoftmaxFit one = fit(), two = fit();
  EXPECT_EQ(one.weight, two.weight);
  EXPECT_EQ(one.bias, two.bias);
}

TEST(SoftmaxRegression, LeavesOutRowsWithoutTarget) {
  Planted planted = Plant();
  Planted more = planted;
  more.targets.clear();
  for (size_t c = 0; c < kClasses; ++c) {
    more.targets.insert(more.targets.end(), planted.targets.begin() + c * kRows,
                        planted.targets.begin() + (c + 1) * kRows);
    more.targets.push_back(0);
  }
  more.x.insert(more.x.end(), {0.5f, 550});
  const LinearDesign design(planted.x, kDimension, [] {
    std::vector<size_t> rows(kRows);
    std::iota(rows.begin(), rows.end(), size_t{0});
    return rows;
  }());
  const LinearDesign longer(more.x, kDimension, [] {
    std::vector<size_t> rows(kRows + 1);
    std::iota(rows.begin(), rows.end(), size_t{0});
    return rows;
  }());
  std::vector<double> a(9, 0.0), b(9, 0.0);
  FitSoftmax(design, planted.targets, kClasses, 0.1, {5, 1e-9}, a);
  FitSoftmax(longer, more.targets, kClasses, 0.1, {5, 1e-9}, b);
  // fp32 sums over rows: 600 x 2^-24 of values around 1.
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4 * (1 + std::abs(a[i])));
}

TEST(Standardisation, IgnoresAFeatureThatDoesNotVary) {
  const std::vector<float> x = {5, 1, 5, 3};
  const Standardisation s = Standardisation::Of(x, 2, 2);
  EXPECT_EQ(s.inverse_scale[0], 0);
  EXPECT_THAT(s.Apply(x), testing::ElementsAre(0, -1, 0, 1));
}

TEST(Standardisation, FoldsIntoRawWeights) {
  const Standardisation s = Standardisation::Of(std::vector<float>{1, 3}, 2, 1);  // mean 2, scale 1
  std::vector<double> weight = {4};
  double bias = 10;
  s.Fold(absl::MakeSpan(weight), bias);
  EXPECT_EQ(weight[0], 4);
  EXPECT_EQ(bias, 2);
}

}  // namespace
}  // namespace penstock::router
