#include "router_service/learning/text/spread_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/random.h"

namespace penstock::router {
namespace {

// Labels drawn from p; what is said deviates from the mean by `common` and `own` times too much.
struct Drawn {
  std::vector<float> said, labels;
};
Drawn Draw(size_t experts, size_t rows, double common, double own) {
  Drawn drawn{std::vector<float>(experts * rows), std::vector<float>(experts * rows)};
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(7, row);
    const double hard = 0.3 * (random.Uniform() - 0.5);
    std::vector<double> off(experts);
    double mean = 0;
    for (double& value : off) mean += value = 0.3 * (random.Uniform() - 0.5);
    mean /= static_cast<double>(experts);
    for (size_t e = 0; e < experts; ++e) {
      const double p = 0.5 + hard + (off[e] - mean);
      drawn.said[e * rows + row] = static_cast<float>(0.5 + common * hard + own * (off[e] - mean));
      drawn.labels[e * rows + row] = random.Uniform() < p ? 1.0f : 0.0f;
    }
  }
  return drawn;
}

double SquaredError(const std::vector<float>& said, const std::vector<float>& labels) {
  double sum = 0;
  for (size_t i = 0; i < said.size(); ++i) sum += (said[i] - labels[i]) * (said[i] - labels[i]);
  return sum;
}

TEST(SpreadCalibration, LeavesCalibratedPredictionsAlone) {
  const Drawn drawn = Draw(4, 20000, 1, 1);
  const auto fit = SpreadCalibration::Of(drawn.said, drawn.labels, 4);
  // Standard errors: 0.5 / (0.0866 sqrt(80000)) = 0.02, and less for the 4 x 20000 own ones.
  EXPECT_NEAR(fit.common, 1, 0.08);
  EXPECT_NEAR(fit.own, 1, 0.08);
}

TEST(SpreadCalibration, FindsBothFactors) {
  const Drawn drawn = Draw(4, 20000, 0.5, 2);
  const auto fit = SpreadCalibration::Of(drawn.said, drawn.labels, 4);
  EXPECT_NEAR(fit.common, 2, 0.16);
  EXPECT_NEAR(fit.own, 0.5, 0.04);
}

TEST(SpreadCalibration, TheMeanPredictionBecomesTheMeanLabelAndTheErrorNoWorse) {
  Drawn drawn = Draw(3, 2000, 0.7, 1.5);
  for (size_t i = 0; i < 2000; ++i) drawn.said[i] += 0.05f;
  const auto fit = SpreadCalibration::Of(drawn.said, drawn.labels, 3);
  const std::vector<float> calibrated = fit.Apply(drawn.said);
  for (size_t e = 0; e < 3; ++e) {
    double said = 0, right = 0;
    for (size_t i = e * 2000; i < (e + 1) * 2000; ++i) {
      said += calibrated[i] / 2000;
      right += drawn.labels[i] / 2000;
    }
    EXPECT_NEAR(said, right, 0.01);
  }
  EXPECT_LE(SquaredError(calibrated, drawn.labels), SquaredError(drawn.said, drawn.labels));
}

TEST(SpreadCalibration, FewLabelsChangeLittle) {
  const auto fit = SpreadCalibration::Of({0.4f, 0.6f}, {0, 1}, 1);
  EXPECT_NEAR(fit.common, 1, 0.2);
  EXPECT_EQ(fit.own, 1);
}

TEST(SpreadCalibration, FoldingIntoWeightsIsTheSameMap) {
  SpreadCalibration fit;
  fit.common = 2;
  fit.own = 0.5;
  fit.label_mean = {0.4, 0.6};
  fit.prediction_mean = {0.45, 0.55};
  // Two features of weights (0.1, -0.2) and (0.05, 0.1), intercepts 0.5 and 0.5, x = (1, 0.5).
  const std::vector<float> said = {0.5f + 0.1f + 0.025f, 0.5f - 0.2f + 0.05f};
  const std::vector<float> expected = fit.Apply(said);
  std::vector<float> first = {0.1f, -0.2f}, second = {0.05f, 0.1f};
  fit.Fold(absl::MakeSpan(first));
  fit.Fold(absl::MakeSpan(second));
  const std::vector<double> mean = fit.FoldedMean({0.5, 0.5});
  for (size_t e = 0; e < 2; ++e) {
    EXPECT_NEAR(mean[e] + first[e] + 0.5 * second[e], expected[e], 1e-6);
  }
}

}  // namespace
}  // namespace penstock::router
