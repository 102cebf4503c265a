#include "router_service/selection/congestion_game.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::DoubleNear;
using ::testing::Pointwise;

const std::vector<double> kQ = {1, 0, -1};

TEST(CongestionGameTest, LambertWSolvesItsEquation) {
  for (const double log_x : {-700.0, -30.0, -1.0, 0.0, 0.9, 1.0, 1.1, 5.0, 300.0, 5000.0}) {
    const double w = LambertWOfExp(log_x);
    ASSERT_GT(w, 0);
    EXPECT_NEAR(w + std::log(w), log_x, 1e-12 * std::max(1.0, std::abs(log_x))) << log_x;
  }
  EXPECT_NEAR(LambertWOfExp(1), 1, 1e-15);  // W(e) = 1
}

TEST(CongestionGameTest, KnownEquilibria) {
  const auto near = [](std::vector<double> p) { return Pointwise(DoubleNear(6e-6), p); };
  EXPECT_THAT(CongestionEquilibrium(kQ, 0), near({.66524, .24473, .09003}));
  EXPECT_THAT(CongestionEquilibrium(kQ, 1), near({.58519, .28938, .12542}));
  EXPECT_THAT(CongestionEquilibrium(kQ, 3), near({.50183, .31925, .17892}));
  EXPECT_THAT(CongestionEquilibrium(kQ, 10), near({.41067, .33195, .25739}));
  EXPECT_THAT(CongestionEquilibrium(kQ, 36), near({.35900, .33328, .30772}));
}

// The temperature whose softmax is nearest is about 1 + gamma / n near balance.
TEST(CongestionGameTest, LooksLikeASoftmaxOfAHigherTemperature) {
  const std::vector<std::pair<double, double>> known = {
      {1, 1.36}, {3, 2.05}, {10, 4.43}, {36, 13.14}};
  for (const auto& [gamma, temperature] : known) {
    const std::vector<double> p = CongestionEquilibrium(kQ, gamma);
    double best = 0, least = std::numeric_limits<double>::infinity();
    for (double t = 1; t < 20; t += 0.005) {
      const std::vector<double> q = {1 / t, 0, -1 / t};
      const std::vector<double> softmax = CongestionEquilibrium(q, 0);
      double distance = 0;
      for (size_t i = 0; i < 3; ++i) distance += std::abs(softmax[i] - p[i]);
      if (distance < least) {
        least = distance;
        best = t;
      }
    }
    EXPECT_NEAR(best, temperature, 0.01) << gamma;
  }
}

TEST(CongestionGameTest, SatisfiesTheFixedPointForAnyGammas) {
  CounterRandom random(3, 0);
  for (int instance = 0; instance < 200; ++instance) {
    const size_t n = 2 + random.Below(30);
    std::vector<double> q(n), gamma(n), p(n);
    for (size_t i = 0; i < n; ++i) {
      q[i] = 40 * random.Uniform() - 20;
      gamma[i] = std::exp(14 * random.Uniform() - 7);
    }
    CongestionEquilibrium(q, gamma, absl::MakeSpan(p));
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0), 1, 1e-12);
    // log p_i - q_i + gamma_i p_i is the same for all.
    const double first = std::log(p[0]) - q[0] + gamma[0] * p[0];
    for (size_t i = 1; i < n; ++i) {
      EXPECT_NEAR(std::log(p[i]) - q[i] + gamma[i] * p[i], first, 1e-7) << instance;
    }
  }
}

TEST(CongestionGameTest, WithoutBoundTheLoadIsEven) {
  const std::vector<double> p = CongestionEquilibrium(kQ, 1e9);
  for (const double share : p) EXPECT_NEAR(share, 1.0 / 3, 1e-6);
}

TEST(CongestionGameTest, AnExpertThatIsNotThereTakesNothing) {
  const std::vector<double> q = {1, -std::numeric_limits<double>::infinity(), 0};
  const std::vector<double> p = CongestionEquilibrium(q, 2);
  EXPECT_EQ(p[1], 0);
  EXPECT_NEAR(p[0] + p[2], 1, 1e-12);
  EXPECT_GT(p[0], p[2]);
}

TEST(CongestionGameTest, FitFindsAPlantedGamma) {
  for (const double planted : {0.01, 0.5, 3.0, 36.0, 400.0}) {
    EXPECT_NEAR(FitGamma(kQ, CongestionEquilibrium(kQ, planted)), planted, 0.05 * planted);
  }
}

TEST(CongestionGameTest, BootstrapMostlyCoversThePlantedGamma) {
  // 50 windows of 400 requests each, drawn from the equilibrium.
  const double planted = 6;
  const std::vector<double> p = CongestionEquilibrium(kQ, planted);
  int covered = 0;
  for (uint64_t sample = 0; sample < 80; ++sample) {
    std::vector<double> counts(50 * 3, 0);
    CounterRandom random(9, sample);
    for (size_t window = 0; window < 50; ++window) {
      for (int request = 0; request < 400; ++request) {
        const double u = random.Uniform();
        ++counts[3 * window + (u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2)];
      }
    }
    const GammaEstimate estimate = FitGammaOverWindows(kQ, counts, 50, 1);
    EXPECT_LE(estimate.low, estimate.gamma);
    EXPECT_GE(estimate.high, estimate.gamma);
    EXPECT_LT(estimate.high, 1.4 * estimate.low);
    covered += estimate.low < planted && planted < estimate.high;
  }
  // Nine in ten of them do, the middle 95 % of a bootstrap being a little narrow.
  EXPECT_GE(covered, 66);
}

TEST(CongestionGameTest, LeastGammaJustKeepsToTheTarget) {
  const std::vector<double> part = {0.5, 0.25, 0.25};
  const auto largest_ratio = [&](double gamma) {
    std::vector<double> gammas(3), p(3);
    for (size_t i = 0; i < 3; ++i) gammas[i] = gamma / (3 * part[i]);
    CongestionEquilibrium(kQ, gammas, absl::MakeSpan(p));
    return std::max({p[0] / part[0], p[1] / part[1], p[2] / part[2]});
  };
  const double gamma = LeastGammaFor(kQ, part, 1.1);
  EXPECT_GT(gamma, 0);
  EXPECT_LE(largest_ratio(gamma), 1.1 + 1e-9);
  EXPECT_GT(largest_ratio(0.98 * gamma), 1.1);
  // 0.665 / 0.5 is what there is without a price.
  EXPECT_EQ(LeastGammaFor(kQ, part, 1.4), 0);
}

}  // namespace
}  // namespace penstock::router
