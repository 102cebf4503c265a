#include "router_service/learning/text/strength_blend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/random.h"

namespace penstock::router {
namespace {

using ::testing::Each;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

double Centred(CounterRandom& random) { return random.Uniform() - 0.5; }

// How much of what is true a fit of one strength says, and how much noise of its own it adds.
struct Said {
  double common = 1, own = 1, noise = 0;
};

struct Drawn {
  std::vector<std::vector<float>> said;  // by strength
  std::vector<float> labels, truth;      // [experts, rows]
};
// Labels drawn from p = 0.5 + sensitivity_e hard + what is expert e's own.
Drawn Draw(const std::vector<double>& sensitivity, size_t rows,
           const std::vector<Said>& strengths) {
  const size_t experts = sensitivity.size();
  Drawn drawn;
  drawn.said.assign(strengths.size(), std::vector<float>(experts * rows));
  drawn.labels = drawn.truth = drawn.said[0];
  double squares = 0;
  for (const double s : sensitivity) squares += s * s;
  for (size_t row = 0; row < rows; ++row) {
    CounterRandom random(7, row);
    const double hard = 0.5 * Centred(random);
    std::vector<double> own(experts);
    double along = 0;
    for (size_t e = 0; e < experts; ++e) along += sensitivity[e] * (own[e] = 0.3 * Centred(random));
    for (size_t e = 0; e < experts; ++e) {
      own[e] -= along * sensitivity[e] / squares;
      const double p = 0.5 + sensitivity[e] * hard + own[e];
      drawn.truth[e * rows + row] = static_cast<float>(p);
      drawn.labels[e * rows + row] = random.Uniform() < p ? 1.0f : 0.0f;
      for (size_t l = 0; l < strengths.size(); ++l) {
        drawn.said[l][e * rows + row] = static_cast<float>(
            0.5 + strengths[l].common * sensitivity[e] * hard + strengths[l].own * own[e] +
            strengths[l].noise * Centred(random));
      }
    }
  }
  return drawn;
}

double SquaredError(const std::vector<float>& said, const std::vector<float>& labels) {
  double sum = 0;
  for (size_t i = 0; i < said.size(); ++i) {
    if (!std::isnan(labels[i])) sum += (said[i] - labels[i]) * (said[i] - labels[i]);
  }
  return sum;
}

TEST(SharedDirection, IsWhatTheLabelsVaryInMost) {
  const std::vector<double> sensitivity = {1, 1, 0.5, 0.25};
  const Drawn drawn = Draw(sensitivity, 20000, {{}});
  const std::vector<double> direction = SharedDirection(drawn.labels, 4);
  // Each label's own chance adds alike to all, so that the order stays and the shares come near.
  EXPECT_NEAR(direction[0], direction[1], 0.05);
  EXPECT_GT(direction[1], direction[2] + 0.1);
  EXPECT_GT(direction[2], direction[3] + 0.05);
  double squares = 0;
  for (const double share : direction) squares += share * share;
  EXPECT_NEAR(squares, 1, 1e-9);
}

TEST(SharedDirection, IsEqualSharesWhereFewRowsKnowAll) {
  Drawn drawn = Draw({1, 1, 0.2}, 1000, {{}});
  for (size_t row = 0; row < 1000; ++row) drawn.labels[(row % 3) * 1000 + row] = kUnknown;
  const double share = 1 / std::sqrt(3.0);
  EXPECT_EQ(SharedDirection(drawn.labels, 3), std::vector<double>(3, share));
  EXPECT_EQ(SharedDirection(std::vector<float>(300, 1.0f), 3), std::vector<double>(3, share));
}

TEST(StrengthBlend, FindsTheFactors) {
  // Standard errors: 0.5 / (0.144 sqrt(80000)) = 0.012 of the common one, half as much again of the
  // other.
  const Drawn calibrated = Draw({1, 1, 1, 1}, 20000, {{}});
  const auto same = StrengthBlend::Of(calibrated.said, calibrated.labels, 4);
  EXPECT_NEAR(same.parts[0].common, 1, 0.06);
  EXPECT_NEAR(same.parts[0].own, 1, 0.08);
  const Drawn off = Draw({1, 1, 1, 1}, 20000, {{.common = 0.5, .own = 2}});
  const auto fit = StrengthBlend::Of(off.said, off.labels, 4);
  EXPECT_NEAR(fit.parts[0].common, 2, 0.12);
  EXPECT_NEAR(fit.parts[0].own, 0.5, 0.04);
}

TEST(StrengthBlend, AnExpertThatNothingIsHardForIsNotThoughtToBe) {
  // One factor for the mean of all would lower the last expert on hard requests and raise it on
  // easy ones.
  const Drawn drawn = Draw({1, 1, 1, 0}, 20000, {{.common = 0.5, .own = 0.5}});
  const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, 4);
  const std::vector<float> blended = fit.Apply(drawn.said);
  double moved = 0, hard = 0;
  for (size_t row = 0; row < 20000; ++row) {
    const double of_row =
        drawn.truth[row] + drawn.truth[20000 + row] + drawn.truth[40000 + row] - 1.5;
    moved += of_row * (blended[60000 + row] - drawn.truth[60000 + row]);
    hard += of_row * of_row;
  }
  EXPECT_NEAR(moved / hard, 0, 0.03);
}

TEST(StrengthBlend, TakesTheCommonPartOfOneStrengthAndTheMeanOfTheOthersFromTheBestUpwards) {
  // The weakest fit knows best how hard a request is, the second what tells experts apart.
  const Drawn drawn = Draw({1, 1, 1, 1}, 20000,
                           {{.common = 1, .own = 0.3, .noise = 0.3},
                            {.common = 0.05, .own = 1, .noise = 0.05},
                            {.common = 0.02, .own = 0.5, .noise = 0.1},
                            {.common = 0.01, .own = 0.2, .noise = 0.05},
                            {.common = 0.01, .own = 0.01, .noise = 0.02}});
  const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, 4);
  EXPECT_EQ(fit.own_strength, 1u);
  EXPECT_GT(fit.parts[0].common, 0.5);
  for (const size_t l : {1, 2, 3, 4}) EXPECT_EQ(fit.parts[l].common, 0) << l;
  for (const size_t l : {0, 4}) EXPECT_EQ(fit.parts[l].own, 0) << l;
  for (const size_t l : {1, 2, 3}) EXPECT_GT(fit.parts[l].own, 0) << l;
  EXPECT_TRUE(fit.Uses(0));
  EXPECT_FALSE(fit.Uses(4));
  EXPECT_TRUE(fit.Uses(3));
}

TEST(StrengthBlend, OneDifferenceNeedsNoMoreSmoothingThanSquaredErrorAsksFor) {
  const std::vector<Said> strengths = {
      {.noise = 0.4}, {.noise = 0.01}, {.own = 0.5, .noise = 0.1}, {.own = 0.2, .noise = 0.1}};
  for (const size_t experts : {2, 3, 4}) {
    const Drawn drawn = Draw(std::vector<double>(experts, 1), 20000, strengths);
    const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, experts);
    ASSERT_EQ(fit.own_strength, 1u);
    EXPECT_GT(fit.parts[1].own, 0);
    EXPECT_EQ(fit.parts[2].own > 0, experts > 2) << experts;
    EXPECT_EQ(fit.parts[3].own > 0, experts > 3) << experts;
  }
}

TEST(StrengthBlend, WhatComesTrueNowhereIsAllButDropped) {
  const Drawn drawn = Draw({1, 1, 1}, 20000, {{.common = 1, .own = 0, .noise = 0.6}});
  const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, 3);
  EXPECT_LE(fit.parts[0].own, 0.06);
  EXPECT_GT(fit.parts[0].common, 0.3);
}

TEST(StrengthBlend, TheMeanPredictionBecomesTheMeanLabelAndTheErrorNoWorse) {
  Drawn drawn = Draw({1, 0.8, 0.6}, 2000, {{.common = 0.7, .own = 1.5}});
  for (size_t i = 0; i < 2000; ++i) drawn.said[0][i] += 0.05f;
  const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, 3);
  const std::vector<float> blended = fit.Apply(drawn.said);
  for (size_t e = 0; e < 3; ++e) {
    double said = 0, right = 0;
    for (size_t i = e * 2000; i < (e + 1) * 2000; ++i) {
      said += blended[i] / 2000;
      right += drawn.labels[i] / 2000;
    }
    EXPECT_NEAR(said, right, 1e-4);
  }
  EXPECT_LE(SquaredError(blended, drawn.labels), SquaredError(drawn.said[0], drawn.labels));
}

TEST(StrengthBlend, LeavesOutLabelsThatAreUnknown) {
  Drawn drawn = Draw({1, 1, 1, 1}, 20000, {{.common = 0.5, .own = 2}});
  for (size_t at = 0; at < drawn.labels.size(); at += 3) drawn.labels[at] = kUnknown;
  const auto fit = StrengthBlend::Of(drawn.said, drawn.labels, 4);
  EXPECT_NEAR(fit.parts[0].common, 2, 0.15);
  EXPECT_NEAR(fit.parts[0].own, 0.5, 0.05);
  // An expert that nothing at all is known of has no say in how hard a request is thought to be.
  std::fill(drawn.labels.begin(), drawn.labels.begin() + 20000, kUnknown);
  for (size_t row = 0; row < 20000; ++row) drawn.said[0][row] = 0;
  const auto without = StrengthBlend::Of(drawn.said, drawn.labels, 4);
  EXPECT_EQ(without.parts[0].prediction_mean[0], 0);
  EXPECT_THAT(without.Apply(drawn.said), Each(::testing::Truly([](float p) {
    return std::isfinite(p);
  })));
}

TEST(StrengthBlend, FewLabelsChangeLittle) {
  const auto fit = StrengthBlend::Of({{0.4f, 0.6f}}, {0, 1}, 1);
  EXPECT_NEAR(fit.parts[0].common, 1, 0.2);
  EXPECT_EQ(fit.parts[0].own, 1);
}

TEST(StrengthBlend, FoldingIntoWeightsIsTheSameMap) {
  StrengthBlend blend;
  blend.direction = {0.8, 0.6};
  blend.label_mean = {0.4, 0.6};
  blend.parts = {{2, 0.5, {0.45, 0.55}}, {0, 0.25, {0.35, 0.65}}};
  // Two features; by strength and feature the weights of both experts; x = (1, 0.5), intercepts 0.5.
  const std::vector<std::vector<float>> first = {{0.1f, -0.2f}, {0.3f, 0.1f}},
                                        second = {{0.05f, 0.1f}, {-0.1f, 0.2f}};
  std::vector<std::vector<float>> said;
  std::vector<double> folded = blend.label_mean;
  for (size_t l = 0; l < 2; ++l) {
    said.push_back({});
    std::vector<double> off;
    for (size_t e = 0; e < 2; ++e) {
      said[l].push_back(0.5f + first[l][e] + 0.5f * second[l][e]);
      off.push_back(0.5 - blend.parts[l].prediction_mean[e]);
    }
    blend.AddFolded(l, off, absl::MakeSpan(folded));
    blend.AddFolded(l, first[l], absl::MakeSpan(folded));
    std::vector<double> half = {0, 0};
    blend.AddFolded(l, second[l], absl::MakeSpan(half));
    for (size_t e = 0; e < 2; ++e) folded[e] += 0.5 * half[e];
  }
  const std::vector<float> applied = blend.Apply(said);
  EXPECT_NEAR(applied[0], folded[0], 1e-6);
  EXPECT_NEAR(applied[1], folded[1], 1e-6);
  // By hand, expert 0: the first strength's d = (0.175, -0.20), along 0.02: 0.5 * 0.175 +
  // 1.5 * 0.02 * 0.8; the second's d = (0.40, 0.05), along 0.35: 0.25 * 0.40 - 0.25 * 0.35 * 0.8.
  EXPECT_NEAR(applied[0], 0.4 + 0.0875 + 0.024 + 0.1 - 0.07, 1e-6);
}

}  // namespace
}  // namespace penstock::router
