#include "router_service/learning/calibration.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "router_service/learning/prediction_metrics.h"

namespace penstock::router {
namespace {

// Labels drawn with P = sigma(centre + spread * normal); the logits told are those scaled by `over`
// about the centre.
struct Drawn {
  std::vector<float> logits, labels;
};

Drawn Draw(double centre, double spread, double over, int count) {
  Drawn drawn;
  for (int i = 0; i < count; ++i) {
    CounterRandom random(11, static_cast<uint64_t>(i));
    const double normal = std::sqrt(-2 * std::log(1 - random.Uniform())) *
                          std::cos(6.283185307179586 * random.Uniform());
    const double p = 1 / (1 + std::exp(-(centre + spread * normal)));
    drawn.logits.push_back(static_cast<float>(centre + over * spread * normal));
    drawn.labels.push_back(random.Uniform() < p ? 1.0f : 0.0f);
  }
  return drawn;
}

std::vector<float> Apply(const Calibration& calibration, const std::vector<float>& logits) {
  std::vector<float> p;
  for (const float logit : logits) p.push_back(static_cast<float>(calibration.Apply(logit)));
  return p;
}

double Mean(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(Calibration, LeavesCalibratedLogitsAlone) {
  // 40,000 labels: the standard error of tau is about 1 %.
  const Drawn drawn = Draw(0.8, 1.5, 1, 40000);
  const Calibration calibration = FitCalibration(drawn.logits, drawn.labels);
  EXPECT_NEAR(calibration.tau, 1, 0.03);
  EXPECT_NEAR(calibration.offset, 0, 0.05);
  EXPECT_NEAR(Mean(Apply(calibration, drawn.logits)), Mean(Apply({}, drawn.logits)), 0.01);
}

TEST(Calibration, FindsTheScaleOfOverconfidentLogits) {
  const Drawn drawn = Draw(0.8, 1, 2, 40000);
  EXPECT_NEAR(FitCalibration(drawn.logits, drawn.labels).tau, 2, 0.06);
}

TEST(Calibration, MakesTheMeanPredictionTheExpertsOwnMean) {
  const Drawn drawn = Draw(-1.2, 1, 3, 5000);
  const Calibration calibration = FitCalibration(drawn.logits, drawn.labels);
  EXPECT_NEAR(Mean(Apply(calibration, drawn.logits)), Mean(drawn.labels), 1e-4);
}

TEST(Calibration, DoesNotRaiseTheLogLoss) {
  for (const double over : {0.3, 1.0, 4.0}) {
    const Drawn drawn = Draw(0.5, 1, over, 2000);
    const Calibration calibration = FitCalibration(drawn.logits, drawn.labels);
    EXPECT_LE(LogLoss(Apply(calibration, drawn.logits), drawn.labels),
              LogLoss(Apply({}, drawn.logits), drawn.labels) + 1e-9)
        << over;
  }
}

TEST(Calibration, KeepsTheOrderOfAnticorrelatedLogits) {
  const Drawn drawn = Draw(0, 1, -1, 2000);
  EXPECT_GT(FitCalibration(drawn.logits, drawn.labels).tau, 0);
}

TEST(Calibration, LeavesOutUnknownLabels) {
  Drawn drawn = Draw(0.8, 1, 2, 4000);
  const Calibration before = FitCalibration(drawn.logits, drawn.labels);
  drawn.logits.push_back(50);
  drawn.labels.push_back(std::nanf(""));
  const Calibration after = FitCalibration(drawn.logits, drawn.labels);
  EXPECT_EQ(before.tau, after.tau);
  EXPECT_EQ(before.offset, after.offset);
}

TEST(Calibration, DoesNothingWhereAllLabelsAreTheSame) {
  const std::vector<float> logits = {1, 2, 3}, labels = {1, 1, 1};
  const Calibration calibration = FitCalibration(logits, labels);
  EXPECT_EQ(calibration.tau, 1);
  EXPECT_EQ(calibration.offset, 0);
}

}  // namespace
}  // namespace penstock::router
