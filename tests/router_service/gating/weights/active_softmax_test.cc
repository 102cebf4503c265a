#include "router_service/gating/weights/active_softmax.h"

#include <cmath>
#include <limits>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<double> Active(const std::vector<double>& logits, double tau,
                           const std::vector<double>& thresholds) {
  std::vector<double> weights(logits.size());
  ActiveSoftmax(logits, tau, thresholds, absl::MakeSpan(weights));
  return weights;
}

// Active experts per request in the mean, over a fixed batch with fixed Gumbel noise.
double MeanActive(double tau) {
  constexpr size_t kExperts = 8, kRequests = 200;
  const std::vector<double> thresholds(kExperts, 0.001);
  double sum = 0;
  for (size_t request = 0; request < kRequests; ++request) {
    CounterRandom random(11, request);
    std::vector<double> logits(kExperts), weights(kExperts);
    for (double& logit : logits) {
      logit = 4 * random.Uniform() - std::log(-std::log(random.Uniform() + 1e-12));
    }
    sum += static_cast<double>(ActiveSoftmax(logits, tau, thresholds, absl::MakeSpan(weights)));
  }
  return sum / kRequests;
}

TEST(ActiveSoftmax, FewerAreActiveAsTheTemperatureFalls) {
  double before = 8;
  for (const double tau : {4.0, 2.0, 1.0, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01}) {
    const double active = MeanActive(tau);
    EXPECT_LE(active, before) << tau;
    before = active;
  }
  EXPECT_GT(MeanActive(4), 7.9);
  EXPECT_LT(MeanActive(0.3), 4);
}

TEST(ActiveSoftmax, OneIsActiveInTheLimit) {
  EXPECT_EQ(MeanActive(1e-6), 1);
  EXPECT_THAT(Active({1, 1.01, 0.99}, 1e-6, {0, 0, 0}), ElementsAre(0, 1, 0));
}

TEST(ActiveSoftmax, TheActiveShareTheWeight) {
  // y = .665, .245, .09
  EXPECT_THAT(Active({2, 1, 0}, 1, {0.1, 0.1, 0.1}),
              ElementsAre(DoubleNear(0.731059, 5e-7), DoubleNear(0.268941, 5e-7), 0));
}

TEST(ActiveSoftmax, TheLargestIsActiveWhereNobodyIsAbove) {
  EXPECT_THAT(Active({0, 0.2, 0.1}, 1, {0.9, 0.9, 0.9}), ElementsAre(0, 1, 0));
}

TEST(ActiveSoftmax, LeavesOutWhoIsOutOfTheQuestion) {
  const double none = -std::numeric_limits<double>::infinity();
  EXPECT_THAT(Active({none, 1, 1}, 1, {0.001, 0.001, 0.001}), ElementsAre(0, 0.5, 0.5));
}

TEST(CostAwareThresholds, GrowWithTheCost) {
  EXPECT_THAT(CostAwareThresholds(0.01, std::vector<double>{2, 1, 10}),
              ElementsAre(DoubleEq(0.02), DoubleEq(0.01), DoubleEq(0.1)));
  const std::vector<double> thresholds = CostAwareThresholds(0.05, std::vector<double>{1, 10});
  EXPECT_THAT(Active({1, 0}, 1, thresholds), ElementsAre(1, 0));  // .27 is below .5
  EXPECT_EQ(Active({1, 0}, 1, {0.05, 0.05})[1], 1 / (1 + std::exp(1.0)));
}

TEST(TemperatureSchedule, MeetsItsEndsExactly) {
  for (const auto shape :
       {TemperatureSchedule::Shape::kExponential, TemperatureSchedule::Shape::kLinear}) {
    const TemperatureSchedule schedule{shape, 1.7, 0.3, 7};
    EXPECT_EQ(schedule.At(0), 1.7);
    EXPECT_EQ(schedule.At(7), 0.3);
    EXPECT_EQ(schedule.At(100), 0.3);
    for (int t = 1; t <= 7; ++t) EXPECT_LT(schedule.At(t), schedule.At(t - 1));
  }
}

TEST(TemperatureSchedule, IsHalfWayInItsOwnScale) {
  const TemperatureSchedule exponential{TemperatureSchedule::Shape::kExponential, 1, 0.25, 10};
  const TemperatureSchedule linear{TemperatureSchedule::Shape::kLinear, 1, 0.25, 10};
  EXPECT_NEAR(exponential.At(5), 0.5, 1e-15);
  EXPECT_NEAR(linear.At(5), 0.625, 1e-15);
}

}  // namespace
}  // namespace penstock::router
