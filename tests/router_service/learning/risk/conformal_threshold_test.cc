#include "router_service/learning/risk/conformal_threshold.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// `points` of which the first `losing` lose 1 once the threshold is below 0.99, 0.98, ...
std::vector<LossCurve> Losing(int points, int losing) {
  std::vector<LossCurve> curves(static_cast<size_t>(points));
  for (int i = 0; i < losing; ++i) curves[static_cast<size_t>(i)] = {{0.99 - 0.01 * i, 1}};
  return curves;
}

ConformalThreshold Found(const std::vector<LossCurve>& points, double alpha, double bound = 1) {
  const auto found = CalibrateThreshold(points, {alpha, bound});
  EXPECT_TRUE(found.ok()) << found.status();
  return found.value_or(ConformalThreshold());
}

double LossAt(const LossCurve& curve, double threshold) {
  double largest = 0;
  for (const LossStep& step : curve) {
    if (threshold < step.threshold) largest = std::max(largest, step.loss);
  }
  return largest;
}

TEST(ConformalThreshold, NinetyNinePointsAllowFourLossesAtFivePercent) {
  const ConformalThreshold found = Found(Losing(99, 10), 0.05);
  EXPECT_DOUBLE_EQ(found.threshold, 0.99 - 0.01 * 4);  // the fifth does not come in
  EXPECT_NEAR(found.risk, 0.040404, 1e-6);
  EXPECT_FALSE(found.always_escalates());
  EXPECT_EQ(Found(Losing(99, 4), 0.05).threshold, -kInfinity);
}

TEST(ConformalThreshold, NineteenPointsAllowNone) {
  const ConformalThreshold found = Found(Losing(19, 3), 0.05);
  EXPECT_DOUBLE_EQ(found.threshold, 0.99);
  EXPECT_EQ(found.risk, 0);
}

TEST(ConformalThreshold, EighteenPointsEscalateAlways) {
  const ConformalThreshold found = Found(Losing(18, 0), 0.05);
  EXPECT_TRUE(found.always_escalates());
  EXPECT_EQ(found.threshold, kInfinity);
  EXPECT_TRUE(Found({}, 0.5).always_escalates());
}

TEST(ConformalThreshold, LossesAtOneScoreComeInTogether) {
  std::vector<LossCurve> points = Losing(99, 0);
  for (size_t i = 0; i < 5; ++i) points[i] = {{0.5, 1}};
  EXPECT_EQ(Found(points, 0.05).threshold, 0.5);
  EXPECT_EQ(Found(points, 0.05).risk, 0);
  EXPECT_EQ(Found(points, 0.06).threshold, -kInfinity);
}

TEST(ConformalThreshold, ALossThatFallsAgainCountsWithItsLargest) {
  // One point loses between 0.4 and 0.6 only; with 19 others nothing may be lost.
  std::vector<LossCurve> points = Losing(19, 0);
  points[0] = {{0.6, 1}, {0.4, 0}};
  EXPECT_EQ(Found(points, 0.05).threshold, 0.6);
}

TEST(ConformalThreshold, TheBoundScalesWithTheLosses) {
  std::vector<LossCurve> points = Losing(99, 10);
  for (LossCurve& curve : points) {
    for (LossStep& step : curve) step.loss *= 4;
  }
  EXPECT_EQ(Found(points, 0.2, 4).threshold, Found(Losing(99, 10), 0.05).threshold);
}

std::vector<LossCurve> RandomCurves(CounterRandom& random) {
  std::vector<LossCurve> points(1 + static_cast<size_t>(30 * random.Uniform()));
  for (LossCurve& curve : points) {
    const int steps = static_cast<int>(4 * random.Uniform());
    for (int i = 0; i < steps; ++i) {
      // Few scores and few losses, so that both tie.
      curve.push_back({std::floor(8 * random.Uniform()) / 8, std::floor(5 * random.Uniform()) / 4});
    }
    std::sort(curve.begin(), curve.end(),
              [](const LossStep& a, const LossStep& b) { return a.threshold > b.threshold; });
  }
  return points;
}

TEST(ConformalThreshold, IsTheLeastOfAllThresholdsThatKeepTheRisk) {
  int always = 0, never = 0, between = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    CounterRandom random(11, seed);
    const std::vector<LossCurve> points = RandomCurves(random);
    const double alpha = 0.02 + 0.9 * random.Uniform();
    double least = kInfinity, risk = 0;
    std::vector<double> tried = {-kInfinity, kInfinity};
    for (const LossCurve& curve : points) {
      for (const LossStep& step : curve) tried.push_back(step.threshold);
    }
    const double n = static_cast<double>(points.size());
    std::sort(tried.begin(), tried.end(), std::greater<double>());
    for (const double threshold : tried) {
      double sum = 0;
      for (const LossCurve& curve : points) sum += LossAt(curve, threshold);
      if (n / (n + 1) * (sum / n) + 1 / (n + 1) > alpha) break;
      least = threshold;
      risk = sum / n;
    }
    const ConformalThreshold found = Found(points, alpha);
    ASSERT_EQ(found.threshold, least) << "seed " << seed;
    ASSERT_NEAR(found.risk, risk, 1e-12) << "seed " << seed;
    always += least == kInfinity;
    never += least == -kInfinity;
    between += std::isfinite(least);
  }
  EXPECT_GT(always, 100);
  EXPECT_GT(never, 100);
  EXPECT_GT(between, 100);
}

TEST(ConformalThreshold, FallsAsMoreRiskIsAllowed) {
  CounterRandom random(5, 1);
  std::vector<LossCurve> points(300);
  for (LossCurve& curve : points) {
    if (random.Uniform() < 0.6) curve = {{random.Uniform(), random.Uniform()}};
  }
  double above = kInfinity;
  for (double alpha = 0.001; alpha < 0.6; alpha += 0.001) {
    const double threshold = Found(points, alpha).threshold;
    EXPECT_LE(threshold, above) << alpha;
    above = threshold;
  }
  EXPECT_EQ(above, -kInfinity);
}

struct Risk {
  double mean = 0, standard_error = 0;
};

// What a new point loses at a threshold from `count` like it, over 2000 repetitions.
Risk NewPointsRisk(int count, double alpha, const std::function<LossCurve(CounterRandom&)>& draw) {
  constexpr int kRepetitions = 2000;
  double sum = 0, squares = 0;
  for (uint64_t repetition = 0; repetition < kRepetitions; ++repetition) {
    CounterRandom random(23, repetition);
    std::vector<LossCurve> points;
    for (int i = 0; i < count; ++i) points.push_back(draw(random));
    const double loss = LossAt(draw(random), Found(points, alpha).threshold);
    sum += loss;
    squares += loss * loss;
  }
  const double mean = sum / kRepetitions;
  return {mean, std::sqrt((squares / kRepetitions - mean * mean) / kRepetitions)};
}

// Right with the probability of the score, else it loses 1.
LossCurve ByScore(double score, CounterRandom& random) {
  return random.Uniform() < score ? LossCurve() : LossCurve{{score, 1}};
}

TEST(ConformalThreshold, ANewPointLosesNoMoreThanStated) {
  const Risk risk = NewPointsRisk(
      150, 0.1, [](CounterRandom& random) { return ByScore(random.Uniform(), random); });
  EXPECT_LE(risk.mean, 0.1 + 3 * risk.standard_error);
  // Nor much less: without ties, 2 / (n + 1) at most.
  EXPECT_GE(risk.mean, 0.1 - 2.0 / 151 - 3 * risk.standard_error);
}

TEST(ConformalThreshold, ANewPointLosesNoMoreThanStatedWhereScoresTie) {
  const Risk risk = NewPointsRisk(150, 0.1, [](CounterRandom& random) {
    return ByScore(std::floor(6 * random.Uniform()) / 6, random);
  });
  EXPECT_LE(risk.mean, 0.1 + 3 * risk.standard_error);
  EXPECT_GT(risk.mean, 0);
}

TEST(ConformalThreshold, ANewPointLosesNoMoreThanStatedWhereLossesFallAgain) {
  const Risk risk = NewPointsRisk(80, 0.08, [](CounterRandom& random) {
    const double high = random.Uniform(), low = high * random.Uniform();
    return LossCurve{{high, random.Uniform() < high ? 0.0 : 1.0}, {low, random.Uniform()}};
  });
  EXPECT_LE(risk.mean, 0.08 + 3 * risk.standard_error);
}

TEST(ConformalThreshold, SaysWhatIsOutOfRange) {
  const auto message = [](const std::vector<LossCurve>& points, RiskTarget target) {
    return std::string(CalibrateThreshold(points, target).status().message());
  };
  EXPECT_THAT(message({}, {0, 1}), HasSubstr("alpha is 0"));
  EXPECT_THAT(message({}, {2, 1}), HasSubstr("alpha is 2, wanted above 0 to 1"));
  EXPECT_THAT(message({}, {std::nan(""), 1}), HasSubstr("alpha is nan"));
  EXPECT_THAT(message({}, {0.1, 0}), HasSubstr("loss_bound is 0"));
  EXPECT_THAT(message({{{0.5, 1.5}}}, {0.1, 1}), HasSubstr("loss is 1.5, wanted 0 to 1"));
  EXPECT_THAT(message({{{0.5, 1}, {0.6, 1}}}, {0.1, 1}), HasSubstr("wanted descending"));
  EXPECT_THAT(message({{{std::nan(""), 1}}}, {0.1, 1}), HasSubstr("threshold is nan"));
}

}  // namespace
}  // namespace penstock::router
