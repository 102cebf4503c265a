#include "router_service/quality/learned/two_layer_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "router_service/learning/sparse/hidden_layer_model.h"
#include "router_service/learning/sparse/matrix_factorisation.h"

namespace penstock::router {
namespace {

TwoLayerScorer::Parameters Small(bool rectified) {
  TwoLayerScorer::Parameters parameters;
  parameters.weights = {2, rectified, {1, -1, 2, 0}, {0.5f, 0}, {1, 1, 0.25f, 0, -2, 0}};
  parameters.covariance = {1, 0, 0, 0, 2, 0, 0, 0, 0.5f};
  parameters.curvature = {0.25f, 1};
  return parameters;
}

TEST(TwoLayerScorer, IsTheFormula) {
  LogitScores scores;
  TwoLayerScorer(Small(false)).Score({0, 1}, {1, 0.5f}, scores);
  // h = (0.5 + 1 + 1, -1)
  EXPECT_FLOAT_EQ(scores.logit[0], 2.5f - 1 + 0.25f);
  EXPECT_FLOAT_EQ(scores.logit[1], 2);
  const double variance = 2.5 * 2.5 + 2 * 1 + 0.5;
  EXPECT_NEAR(scores.deviation[0], std::sqrt(variance / 0.25), 1e-5);
  EXPECT_NEAR(scores.deviation[1], std::sqrt(variance), 1e-5);
  TwoLayerScorer(Small(true)).Score({0, 1}, {1, 0.5f}, scores);
  EXPECT_FLOAT_EQ(scores.logit[0], 2.5f + 0.25f);  // the second unit is held at 0
  EXPECT_FLOAT_EQ(scores.logit[1], 0);
}

struct Rows {
  SparseRows x;
  std::vector<float> quality;
  std::vector<uint32_t> group = std::vector<uint32_t>(60);
  Rows() : quality(3 * 60) {
    x.columns = 5;
    for (uint32_t row = 0; row < 60; ++row) {
      x.Add({row % 4, 4}, {0.8f, 0.6f});
      quality[(row % 3) * 60 + row] = 1;
    }
    std::iota(group.begin(), group.end(), 0u);
  }
};

TwoLayerScorer::Parameters Of(TwoLayerWeights weights) {
  TwoLayerScorer::Parameters parameters;
  const size_t width = weights.hidden + 1;
  parameters.weights = std::move(weights);
  parameters.covariance.assign(width * width, 0.0f);
  parameters.curvature.assign(3, 1.0f);
  return parameters;
}

TEST(TwoLayerScorer, SaysWhatTheHiddenLayerModelSays) {
  const Rows rows;
  const HiddenLayerModel model =
      HiddenLayerModel::Fit(rows.x, rows.quality, 3, rows.group, {.hidden = 8, .most_epochs = 5});
  const TwoLayerScorer scorer(Of(model.weights()));
  const std::vector<float> said = model.Predict(rows.x);
  LogitScores scores;
  for (size_t row = 0; row < 8; ++row) {
    scorer.Score(rows.x.Columns(row), rows.x.Values(row), scores);
    for (size_t e = 0; e < 3; ++e) {
      EXPECT_NEAR(1 / (1 + std::exp(-scores.logit[e])), said[e * 60 + row], 1e-5);
    }
  }
}

TEST(TwoLayerScorer, ComparesExpertsAsTheFactorisationDoes) {
  const Rows rows;
  const MatrixFactorisation model = MatrixFactorisation::Fit(rows.x, rows.quality, 3, rows.group,
                                                             {.width = 16, .most_epochs = 5});
  const TwoLayerScorer scorer(Of(model.weights()));
  const std::vector<float> utility = model.Predict(rows.x);
  LogitScores scores;
  for (size_t row = 0; row < 8; ++row) {
    scorer.Score(rows.x.Columns(row), rows.x.Values(row), scores);
    EXPECT_NEAR(scores.logit[0] - scores.logit[2], utility[row] - utility[120 + row], 1e-4);
    EXPECT_NEAR(scores.logit[0] + scores.logit[1] + scores.logit[2], 0, 1e-4);
  }
}

}  // namespace
}  // namespace penstock::router
