#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "router_service/learning/sparse/early_stopping.h"
#include "router_service/learning/sparse/hidden_layer_model.h"
#include "router_service/learning/sparse/matrix_factorisation.h"

namespace penstock::router {
namespace {

// Two kinds of requests in turn, told by their only column. Expert 0 is right on the first kind,
// expert 1 on the second, expert 2 never.
struct TwoKinds {
  SparseRows x;
  std::vector<float> quality;
  std::vector<uint32_t> group;

  explicit TwoKinds(size_t rows) : quality(3 * rows), group(rows) {
    x.columns = 2;
    for (size_t row = 0; row < rows; ++row) {
      x.column.push_back(row % 2);
      x.value.push_back(1);
      x.begin.push_back(x.value.size());
      quality[(row % 2) * rows + row] = 1;
    }
    std::iota(group.begin(), group.end(), 0u);
  }
};

TEST(HiddenLayerModelTest, LearnsWhoIsRightOnWhat) {
  const TwoKinds data(400);
  const std::vector<float> p =
      HiddenLayerModel::Fit(data.x, data.quality, 3, data.group, {.hidden = 8}).Predict(data.x);
  EXPECT_GT(p[0], .8);
  EXPECT_LT(p[1], .2);
  EXPECT_LT(p[400], .2);
  EXPECT_GT(p[401], .8);
  EXPECT_LT(p[800], .2);
}

TEST(HiddenLayerModelTest, TheSameSeedGivesTheSameBits) {
  const TwoKinds data(100);
  const HiddenLayerOptions options{.hidden = 8, .most_epochs = 3, .seed = 5};
  EXPECT_EQ(HiddenLayerModel::Fit(data.x, data.quality, 3, data.group, options).Predict(data.x),
            HiddenLayerModel::Fit(data.x, data.quality, 3, data.group, options).Predict(data.x));
}

TEST(HiddenLayerModelTest, StopsOnceTheHeldBackTenthGetsNoBetter) {
  // Labels that no feature tells: the first passes find the mean, later ones only noise.
  SparseRows x;
  x.columns = 300;
  std::vector<float> labels;
  std::vector<uint32_t> group;
  for (uint32_t row = 0; row < 300; ++row) {
    x.column.push_back(row);
    x.value.push_back(1);
    x.begin.push_back(x.value.size());
    labels.push_back(static_cast<float>(row % 3 == 0));
    group.push_back(row);
  }
  EXPECT_LT(HiddenLayerModel::Fit(x, labels, 1, group, {.hidden = 8, .most_epochs = 500}).epochs(),
            200);
}

TEST(MatrixFactorisationTest, TheUsefulExpertHasTheLargestUtility) {
  const TwoKinds data(400);
  const std::vector<float> u =
      MatrixFactorisation::Fit(data.x, data.quality, 3, data.group, {.width = 16}).Predict(data.x);
  EXPECT_GT(u[0], u[400]);
  EXPECT_GT(u[0], u[800]);
  EXPECT_GT(u[401], u[1]);
  EXPECT_GT(u[401], u[801]);
}

TEST(MatrixFactorisationTest, OneBeatsTheOtherOrTheOtherBeatsIt) {
  EXPECT_DOUBLE_EQ(
      MatrixFactorisation::WinProbability(.3, 1.2) + MatrixFactorisation::WinProbability(1.2, .3),
      1);
}

TEST(MatrixFactorisationTest, TheLengthOfAnExpertsVectorChangesNothing) {
  const TwoKinds data(100);
  MatrixFactorisation model = MatrixFactorisation::Fit(data.x, data.quality, 3, data.group,
                                                       {.width = 16, .most_epochs = 2});
  const std::vector<float> before = model.Predict(data.x);
  model.ScaleExpert(1, 4);
  const std::vector<float> after = model.Predict(data.x);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(after[i], before[i], 1e-5);
}

TEST(MatrixFactorisationTest, AThresholdAtAQuantileSendsThatShareToTheStrongModel) {
  const TwoKinds data(1000);
  const std::vector<float> u =
      MatrixFactorisation::Fit(data.x, data.quality, 3, data.group, {.width = 16, .most_epochs = 5})
          .Predict(data.x);
  std::vector<double> win;
  for (size_t row = 0; row < 1000; ++row) {
    win.push_back(MatrixFactorisation::WinProbability(u[row], u[1000 + row]));
  }
  std::vector<double> sorted = win;
  std::sort(sorted.begin(), sorted.end());
  const double threshold = sorted[500];  // half of them
  const auto strong =
      std::count_if(win.begin(), win.end(), [&](double p) { return p >= threshold; });
  EXPECT_NEAR(static_cast<double>(strong) / 1000, .5, .02);
}

TEST(HeldBackRowsTest, OfTwoGroupsOneIsOnEitherSide) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const HeldBackRows rows(std::vector<uint32_t>{7, 3, 7, 3, 7}, seed);
    EXPECT_FALSE(rows.learn.empty());
    EXPECT_FALSE(rows.held.empty());
    EXPECT_EQ(rows.learn.size() + rows.held.size(), 5u);
    const HeldBackRows single(std::vector<uint32_t>{7, 7}, seed);
    EXPECT_EQ(single.learn.size(), 2u);
    EXPECT_TRUE(single.held.empty());
  }
}

TEST(HeldBackRowsTest, ATenthIsHeldBackWhereTheDrawFillsBothSides) {
  std::vector<uint32_t> group(1000);
  std::iota(group.begin(), group.end(), 0u);
  const HeldBackRows rows(group, 1);
  EXPECT_GT(rows.held.size(), 70u);
  EXPECT_LT(rows.held.size(), 130u);
}

TEST(HiddenLayerModelTest, OneGroupIsLearnedFromToo) {
  TwoKinds data(400);
  std::fill(data.group.begin(), data.group.end(), 0u);
  const HiddenLayerOptions options{.hidden = 8, .adam = {.rate = 0.02}};
  const HiddenLayerModel model =
      HiddenLayerModel::Fit(data.x, data.quality, 3, data.group, options);
  EXPECT_EQ(model.epochs(), kBlindEpochs);
  const std::vector<float> p = model.Predict(data.x);
  EXPECT_GT(p[0], .8);
  EXPECT_LT(p[1], .2);
  EXPECT_GT(p[401], .8);
}

TEST(MatrixFactorisationTest, LearnsWhereNoHeldBackRowHasAWinner) {
  // Held-back rows that tell of one expert each.
  TwoKinds data(400);
  const HeldBackRows rows(data.group, MatrixFactorisationOptions().seed);
  ASSERT_FALSE(rows.held.empty());
  for (const size_t row : rows.held) {
    for (size_t e = 1; e < 3; ++e) data.quality[e * 400 + row] = std::nanf("");
  }
  const std::vector<float> utility = MatrixFactorisation::Fit(data.x, data.quality, 3, data.group,
                                                              {.width = 8, .adam = {.rate = 0.02}})
                                         .Predict(data.x);
  EXPECT_GT(utility[0], utility[400] + 1);
  EXPECT_GT(utility[401], utility[1] + 1);
}

}  // namespace
}  // namespace penstock::router
