#include "router_service/learning/gates/mixer_refit.h"

#include <algorithm>
#include <cmath>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kExperts = 3, kFeatures = 2, kRows = 90;

// Contexts around (0, 0), (10, 0), (0, 10); expert 2, 0 and 1 are right there, and now and then
// another one is too.
struct Separable {
  std::vector<double> contexts, losses;
  MixerFit start;

  Separable() {
    constexpr double kCentre[3][2] = {{0, 0}, {10, 0}, {0, 10}};
    constexpr size_t kRight[3] = {2, 0, 1};
    CounterRandom random(12, 0);
    for (size_t row = 0; row < kRows; ++row) {
      for (size_t j = 0; j < kFeatures; ++j) {
        contexts.push_back(kCentre[row % 3][j] + random.Uniform());
      }
      for (size_t e = 0; e < kExperts; ++e) {
        losses.push_back(e == kRight[row % 3] || random.Uniform() < 0.2 ? 0 : 1);
      }
    }
    start.centroids = {1, 1, 8, 1, 1, 8};
  }
};

MixerFit Refit(const Separable& data, const MixerFit& before, double noise = 0) {
  MixerOptions options;
  options.noise = noise;
  return RefitMixer(data.contexts, kFeatures, data.losses, kExperts, before, options);
}

size_t Routed(const MixerFit& fit, const double* context) {
  size_t best = 0;
  double most = -1e300;
  for (size_t e = 0; e < kExperts; ++e) {
    double score = fit.bias[e];
    for (size_t j = 0; j < kFeatures; ++j) score += fit.weight[e * kFeatures + j] * context[j];
    if (score > most) {
      most = score;
      best = e;
    }
  }
  return best;
}

TEST(RefitMixer, RoutesSeparableContextsToTheirExperts) {
  const Separable data;
  const MixerFit fit = Refit(data, data.start, 1e-4);
  EXPECT_FALSE(fit.aborted) << fit.reason;
  EXPECT_THAT(fit.expert_of, ElementsAre(2, 0, 1));
  EXPECT_EQ(fit.matched_loss, 0);
  constexpr size_t kRight[3] = {2, 0, 1};
  for (size_t row = 0; row < kRows; ++row) {
    EXPECT_EQ(Routed(fit, data.contexts.data() + row * kFeatures), kRight[row % 3]) << row;
  }
}

TEST(RefitMixer, IsIdempotentWithoutNoise) {
  const Separable data;
  const MixerFit once = Refit(data, data.start);
  const MixerFit twice = Refit(data, once);
  ASSERT_FALSE(twice.aborted);
  EXPECT_EQ(twice.weight, once.weight);
  EXPECT_EQ(twice.bias, once.bias);
  EXPECT_EQ(twice.expert_of, once.expert_of);
}

TEST(RefitMixer, KeepsTheGateWhereAClusterIsEmpty) {
  const Separable data;
  MixerFit before = Refit(data, data.start);
  before.centroids = {1, 1, 8, 1, 900, 900};
  const MixerFit after = Refit(data, before);
  EXPECT_TRUE(after.aborted);
  EXPECT_THAT(after.reason, HasSubstr("no context"));
  EXPECT_EQ(after.weight, before.weight);
  EXPECT_EQ(after.bias, before.bias);
  EXPECT_EQ(after.centroids, before.centroids);
}

TEST(RefitMixer, KeepsTheGateWhereTheClustersStillMove) {
  const Separable data;
  MixerOptions options;
  options.kmeans.max_iterations = 1;
  const MixerFit after =
      RefitMixer(data.contexts, kFeatures, data.losses, kExperts, data.start, options);
  EXPECT_TRUE(after.aborted);
  EXPECT_THAT(after.reason, HasSubstr("still move after 1 rounds"));
  EXPECT_TRUE(after.weight.empty());
}

TEST(RefitMixer, MatchesByTheMeanWhereMediansAreAlike) {
  // Everybody is right most of the time, so that all medians are 0.
  Separable data;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t e = 0; e < kExperts; ++e) {
      const bool home = e == row % 3;
      data.losses[row * kExperts + e] = !home && (row / 3) % 5 == 0 ? 1 : 0;
    }
  }
  EXPECT_THAT(Refit(data, data.start).expert_of, ElementsAre(0, 1, 2));
}

TEST(RefitMixer, LeavesOutLossesThatAreNotKnown) {
  Separable data;
  for (size_t row = 0; row < kRows; row += 2) {
    for (size_t e = 0; e < kExperts; ++e) data.losses[row * kExperts + e] = std::nan("");
  }
  EXPECT_THAT(Refit(data, data.start).expert_of, ElementsAre(2, 0, 1));
}

}  // namespace
}  // namespace penstock::router
