#include "router_service/pacing/mirror_descent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

constexpr size_t kOptions = 4;
constexpr size_t kResources = 2;
constexpr std::array<double, kResources> kAllowed = {0.4, 0.5};  // a request, of each resource

// Four options of independent worth; option 0 costs nothing. Costs in shares of what is allowed.
struct Request {
  std::array<double, kOptions> reward{};
  std::array<std::array<double, kResources>, kOptions> use{};
};

Request Draw(uint64_t seed, uint64_t i) {
  CounterRandom random(seed, i);
  Request request;
  for (size_t o = 1; o < kOptions; ++o) {
    request.reward[o] = random.Uniform();
    for (size_t j = 0; j < kResources; ++j) request.use[o][j] = random.Uniform() / kAllowed[j];
  }
  return request;
}

size_t Best(const Request& request, absl::Span<const double> prices) {
  size_t best = 0;
  double best_net = -std::numeric_limits<double>::infinity();
  for (size_t o = 0; o < kOptions; ++o) {
    double net = request.reward[o];
    for (size_t j = 0; j < kResources; ++j) net -= prices[j] * request.use[o][j];
    if (net > best_net) {
      best = o;
      best_net = net;
    }
  }
  return best;
}

// min over prices of sum_j p_j + E max_o (reward - sum_j p_j use_j): no policy's mean exceeds it.
double FluidBound(uint64_t seed, uint64_t requests) {
  double bound = std::numeric_limits<double>::infinity();
  for (double p0 = 0; p0 <= 0.6; p0 += 0.05) {
    for (double p1 = 0; p1 <= 0.6; p1 += 0.05) {
      const double prices[] = {p0, p1};
      double sum = 0;
      for (uint64_t i = 0; i < requests; ++i) {
        const Request request = Draw(seed, i);
        const size_t o = Best(request, prices);
        sum += request.reward[o] - p0 * request.use[o][0] - p1 * request.use[o][1];
      }
      bound = std::min(bound, p0 + p1 + sum / static_cast<double>(requests));
    }
  }
  return bound;
}

struct Outcome {
  double reward = 0;  // mean
  std::array<double, kResources> left{};
  bool overspent = false;
};

// Hard reservations: an option that the rest does not cover is not taken.
Outcome Paced(MirrorDescent::Options options, uint64_t seed, uint64_t requests) {
  MirrorDescent descent(options, {0.2, 0.2});
  Outcome outcome;
  outcome.left.fill(static_cast<double>(requests));
  for (uint64_t i = 0; i < requests; ++i) {
    const Request request = Draw(seed, i);
    size_t o = Best(request, descent.prices());
    for (size_t j = 0; j < kResources; ++j) {
      if (request.use[o][j] > outcome.left[j]) o = 0;
    }
    outcome.reward += request.reward[o] / static_cast<double>(requests);
    for (size_t j = 0; j < kResources; ++j) {
      outcome.left[j] -= request.use[o][j];
      outcome.overspent |= outcome.left[j] < 0;
    }
    descent.Step(request.use[o]);
  }
  return outcome;
}

MirrorDescent::Options Euclidean(uint64_t requests) {
  return {.map = MirrorDescent::Map::kEuclidean,
          .step = 1 / std::sqrt(static_cast<double>(requests))};
}

class MirrorDescentTest : public testing::TestWithParam<uint64_t> {};

TEST_P(MirrorDescentTest, HardReservationsAreNeverOverspent) {
  EXPECT_FALSE(Paced(Euclidean(2000), GetParam(), 2000).overspent);
  EXPECT_FALSE(Paced({.step = 0.5 / std::sqrt(2000.0)}, GetParam(), 2000).overspent);
}

TEST_P(MirrorDescentTest, TheGapShrinksAsTheRootOfTheRequests) {
  for (const uint64_t requests : {500, 2000, 8000}) {
    const double gap = FluidBound(GetParam(), requests) -
                       Paced(Euclidean(requests), GetParam(), requests).reward;
    EXPECT_LE(gap * std::sqrt(static_cast<double>(requests)), 0.5) << requests;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MirrorDescentTest, testing::Values(1, 2, 3));

TEST(MirrorDescentRuleTest, AnEuclideanStepMovesByTheGradient) {
  MirrorDescent descent({.map = MirrorDescent::Map::kEuclidean, .step = 0.5}, {0.25, 1});
  const double used[] = {1.5, 0};
  descent.Step(used);
  EXPECT_DOUBLE_EQ(descent.price(0), 0.5);
  EXPECT_DOUBLE_EQ(descent.price(1), 0.5);
}

TEST(MirrorDescentRuleTest, AnEntropicStepMultiplies) {
  MirrorDescent descent({.step = 0.005}, {0.2});
  const double used[] = {3};
  descent.Step(used);
  EXPECT_DOUBLE_EQ(descent.price(0), 0.2 * std::exp(0.01));
}

TEST(MirrorDescentRuleTest, PricesStayWithinTheirLimits) {
  MirrorDescent entropic({.step = 1, .least = 1e-4, .most = 10}, {0});
  EXPECT_DOUBLE_EQ(entropic.price(0), 1e-4);
  for (int i = 0; i < 100; ++i) entropic.Move(0, -1);
  EXPECT_DOUBLE_EQ(entropic.price(0), 10);
  MirrorDescent euclidean({.map = MirrorDescent::Map::kEuclidean, .step = 1}, {0.5});
  euclidean.Move(0, 2);
  EXPECT_DOUBLE_EQ(euclidean.price(0), 0);
}

TEST(MirrorDescentRuleTest, SlackBudgetsHaveNoPrice) {
  MirrorDescent descent({.map = MirrorDescent::Map::kEuclidean, .step = 0.02}, {1});
  for (int i = 0; i < 1000; ++i) {
    const double used[] = {0.3};
    descent.Step(used);
  }
  EXPECT_DOUBLE_EQ(descent.price(0), 0);
}

TEST(MirrorDescentRuleTest, EqualCostsSpendTheBudget) {
  // Worth u, and two of what is allowed: half of the requests can be served.
  MirrorDescent descent({.map = MirrorDescent::Map::kEuclidean, .step = 0.01}, {0});
  double used_sum = 0;
  for (uint64_t i = 0; i < 20'000; ++i) {
    CounterRandom random(5, i);
    const double used[] = {random.Uniform() > 2 * descent.price(0) ? 2.0 : 0.0};
    descent.Step(used);
    used_sum += used[0];
  }
  EXPECT_NEAR(used_sum / 20'000, 1, 0.01);
  EXPECT_NEAR(descent.price(0), 0.25, 0.05);
}

TEST(MirrorDescentRuleTest, TwiceTheRewardsTwiceThePrice) {
  const auto settled = [](double worth) {
    MirrorDescent descent({.map = MirrorDescent::Map::kEuclidean, .step = 0.002}, {0});
    double sum = 0;
    for (uint64_t i = 0; i < 40'000; ++i) {
      CounterRandom random(6, i);
      const double used[] = {worth * random.Uniform() > 2 * descent.price(0) ? 2.0 : 0.0};
      descent.Step(used);
      if (i >= 20'000) sum += descent.price(0);
    }
    return sum / 20'000;
  };
  EXPECT_NEAR(settled(2) / settled(1), 2, 0.05);
}

}  // namespace
}  // namespace penstock::router
