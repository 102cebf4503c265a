#include "router_service/learning/principals/median_heads.h"

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/learning/linear/linear_design.h"
#include "router_service/learning/linear/logistic_heads.h"
#include "tests/support/status_matchers.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

constexpr size_t kDimension = 3;
constexpr size_t kBlocks = 7;

// Feedback of 60 principals, 20 rows each: label 1 with probability sigma(2 z0 - z1).
struct Feedback {
  std::vector<float> x, labels;
  std::vector<std::string> principals;

  void Add(const std::string& principal, const std::vector<float>& z, float label) {
    x.insert(x.end(), z.begin(), z.end());
    labels.push_back(label);
    principals.push_back(principal);
  }
  MedianHeads Fit() const {
    const auto fit = FitMedianHeads(x, kDimension, labels, 1, principals, {kBlocks, 0.01});
    EXPECT_THAT(fit.status(), IsOk());
    return fit.ok() ? *fit : MedianHeads();
  }
  // Without blocks: bias last.
  std::vector<double> FitPlainly() const {
    std::vector<size_t> all(labels.size());
    std::iota(all.begin(), all.end(), size_t{0});
    std::vector<double> parameters(kDimension + 1, 0.0);
    FitLogistic(LinearDesign(x, kDimension, all), labels, 1, 0.01, {}, parameters);
    return parameters;
  }
};

std::vector<float> RandomPoint(CounterRandom& random) {
  std::vector<float> z(kDimension);
  for (float& value : z) value = static_cast<float>(2 * random.Uniform() - 1);
  return z;
}

Feedback Honest() {
  CounterRandom random(4, 1);
  Feedback feedback;
  for (int principal = 0; principal < 60; ++principal) {
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> z = RandomPoint(random);
      const double p = 1 / (1 + std::exp(-(2 * z[0] - z[1])));
      feedback.Add(absl::StrCat("p", principal), z, random.Uniform() < p ? 1.0f : 0.0f);
    }
  }
  return feedback;
}

// What a principal may do: report the opposite, or always the same, of as much as it likes.
Feedback Poisoned(const Feedback& honest, const std::string& who, int way) {
  CounterRandom random(5, static_cast<uint64_t>(way));
  Feedback poisoned = honest;
  for (size_t row = 0; row < poisoned.labels.size(); ++row) {
    if (poisoned.principals[row] == who) poisoned.labels[row] = 1 - poisoned.labels[row];
  }
  for (int i = 0; i < 3000; ++i) {
    std::vector<float> z = RandomPoint(random);
    if (way == 1) z[2] *= 50;
    poisoned.Add(who, z, way == 2 ? 1.0f : z[0] > 0 ? 0.0f : 1.0f);
  }
  return poisoned;
}

double Logit(const std::vector<double>& parameters, const std::vector<float>& z) {
  double sum = parameters.back();
  for (size_t d = 0; d < kDimension; ++d) sum += parameters[d] * z[d];
  return sum;
}

TEST(MedianHeads, NoPrincipalMovesALogitBeyondItsReach) {
  const Feedback honest = Honest();
  const MedianHeads clean = honest.Fit();
  CounterRandom random(6, 1);
  double plain_moved = 0, moved = 0;
  for (int way = 0; way < 3; ++way) {
    for (const char* who : {"p0", "p17", "p59", "newcomer"}) {
      const Feedback poisoned = Poisoned(honest, who, way);
      const MedianHeads after = poisoned.Fit();
      const std::vector<double> before_plain = honest.FitPlainly();
      const std::vector<double> after_plain = poisoned.FitPlainly();
      for (int i = 0; i < 100; ++i) {
        const std::vector<float> z = RandomPoint(random);
        const double shift = std::abs(after.Logit(0, z) - clean.Logit(0, z));
        ASSERT_LE(shift, clean.Reach(0, z) + 1e-5) << who << " " << way;
        moved = std::max(moved, shift);
        plain_moved =
            std::max(plain_moved, std::abs(Logit(after_plain, z) - Logit(before_plain, z)));
      }
    }
  }
  // The same feedback turns a fit without blocks over.
  EXPECT_GT(plain_moved, 2);
  EXPECT_LT(moved, plain_moved / 3);
}

TEST(MedianHeads, LearnsWhatHonestFeedbackTells) {
  const MedianHeads fit = Honest().Fit();
  EXPECT_GT(fit.weight[0], 1);
  EXPECT_LT(fit.weight[1], -0.4);
  EXPECT_NEAR(fit.weight[2], 0, 0.5);
}

TEST(MedianHeads, OneMedianPerHead) {
  Feedback feedback = Honest();
  std::vector<float> two = feedback.labels;
  for (const float label : feedback.labels) two.push_back(1 - label);
  const auto fit =
      FitMedianHeads(feedback.x, kDimension, two, 2, feedback.principals, {kBlocks, 0.01});
  ASSERT_THAT(fit.status(), IsOk());
  for (size_t d = 0; d < kDimension; ++d) {
    EXPECT_NEAR(fit->weight[d], -fit->weight[kDimension + d], 1e-3);
  }
}

TEST(MedianHeads, SaysWhatItWants) {
  const Feedback feedback = Honest();
  const auto fit = [&](size_t blocks, const std::vector<std::string>& principals) {
    return std::string(
        FitMedianHeads(feedback.x, kDimension, feedback.labels, 1, principals, {blocks, 0.01})
            .status()
            .message());
  };
  EXPECT_THAT(fit(4, feedback.principals), HasSubstr("blocks are 4, wanted an odd number"));
  const std::vector<std::string> alone(feedback.principals.size(), "p0");
  EXPECT_THAT(fit(3, alone), HasSubstr("no principal falls to block"));
}

}  // namespace
}  // namespace penstock::router
