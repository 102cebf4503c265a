#include "router_service/learning/policies/off_policy.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

// A table of which everything is known: 3 experts, quality by expert and kind of request.
constexpr double kQuality[4][3] = {{.9, .2, .5}, {.1, .8, .4}, {.6, .6, .7}, {.3, .5, .9}};

struct Log {
  std::vector<LoggedChoice> choices;
  std::vector<float> model, policy;
  double truth = 0;  // of the policy, on these requests
};

// Logged by a policy that prefers expert 0; evaluated is one that takes the best of each kind
// mostly. `bias` is added to the true qualities to give the model.
Log Draw(uint64_t sample, size_t requests, double bias, double propensity_factor = 1) {
  Log log;
  CounterRandom random(31, sample);
  for (size_t t = 0; t < requests; ++t) {
    const size_t kind = random.Below(4);
    const double logging[3] = {.7, .2, .1};
    const double evaluated[3] = {kind == 0 ? .8 : .1, kind == 1 ? .8 : .1, kind >= 2 ? .8 : .1};
    const double u = random.Uniform();
    const size_t expert = u < .7 ? 0 : u < .9 ? 1 : 2;
    const double quality = random.Uniform() < kQuality[kind][expert] ? 1 : 0;
    log.choices.push_back({expert, quality, std::min(1.0, logging[expert] * propensity_factor)});
    for (size_t a = 0; a < 3; ++a) {
      const double sum = evaluated[0] + evaluated[1] + evaluated[2];
      log.policy.push_back(static_cast<float>(evaluated[a] / sum));
      log.model.push_back(static_cast<float>(kQuality[kind][a] + bias));
      log.truth += evaluated[a] / sum * kQuality[kind][a] / static_cast<double>(requests);
    }
  }
  return log;
}

TEST(OffPolicyTest, UnbiasedWhateverTheModelIsWorth) {
  for (const double bias : {0.0, 0.3, -0.4}) {
    double mean = 0, squares = 0;
    constexpr int kSamples = 200;
    for (uint64_t sample = 0; sample < kSamples; ++sample) {
      const Log log = Draw(sample, 500, bias);
      const auto estimate = EvaluateOffPolicy(log.choices, 3, log.model, log.policy);
      ASSERT_THAT(estimate.status(), IsOk());
      const double error = estimate->value - log.truth;
      mean += error / kSamples;
      squares += error * error / kSamples;
    }
    EXPECT_LT(std::abs(mean), 3 * std::sqrt(squares / kSamples)) << bias;
    EXPECT_GT(squares, 0);
  }
}

TEST(OffPolicyTest, ARightModelMakesUpForWrongPropensities) {
  const Log log = Draw(1, 20000, 0, 0.6);
  const auto estimate = EvaluateOffPolicy(log.choices, 3, log.model, log.policy);
  ASSERT_THAT(estimate.status(), IsOk());
  EXPECT_NEAR(estimate->value, log.truth, 3 * estimate->standard_error);
  EXPECT_GT(std::abs(estimate->importance - log.truth), 10 * estimate->standard_error);
}

TEST(OffPolicyTest, TheStandardErrorIsThatOfTheEstimate) {
  double squares = 0, told = 0;
  for (uint64_t sample = 0; sample < 200; ++sample) {
    const Log log = Draw(sample, 400, 0.1);
    const auto estimate = EvaluateOffPolicy(log.choices, 3, log.model, log.policy);
    ASSERT_THAT(estimate.status(), IsOk());
    squares += std::pow(estimate->value - log.truth, 2) / 200;
    told += estimate->standard_error / 200;
  }
  EXPECT_NEAR(told, std::sqrt(squares), 0.2 * told);
}

TEST(OffPolicyTest, FewerRequestsCountWhereThePoliciesDiffer) {
  const Log log = Draw(2, 1000, 0);
  const auto estimate = EvaluateOffPolicy(log.choices, 3, log.model, log.policy);
  ASSERT_THAT(estimate.status(), IsOk());
  EXPECT_LT(estimate->effective_requests, 500);
  EXPECT_GT(estimate->effective_requests, 50);
  // The logging policy itself, reweighted by 1.
  std::vector<float> own(log.policy.size(), 0);
  std::vector<LoggedChoice> sure = log.choices;
  for (size_t t = 0; t < sure.size(); ++t) {
    sure[t].propensity = 1;
    own[3 * t + sure[t].expert] = 1;
  }
  const auto same = EvaluateOffPolicy(sure, 3, log.model, own);
  ASSERT_THAT(same.status(), IsOk());
  EXPECT_NEAR(same->effective_requests, 1000, 1e-9);
}

TEST(OffPolicyTest, RefusesWhatMeansNothing) {
  const std::vector<float> model = {.5f, .5f}, policy = {1, 0};
  const auto refused = [&](std::vector<LoggedChoice> logged, const std::vector<float>& m,
                           const std::vector<float>& p) {
    return EvaluateOffPolicy(logged, 2, m, p).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused({{0, 1, .5}}, model, policy));
  EXPECT_TRUE(refused({}, {}, {}));
  EXPECT_TRUE(refused({{0, 1, 0}}, model, policy));
  EXPECT_TRUE(refused({{2, 1, .5}}, model, policy));
  EXPECT_TRUE(refused({{0, 1, .5}}, model, {.5f, .1f}));
  EXPECT_TRUE(refused({{0, 1, .5}}, {.5f}, policy));
}

}  // namespace
}  // namespace penstock::router
