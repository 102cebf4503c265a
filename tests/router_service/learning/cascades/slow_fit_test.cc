#include "router_service/learning/cascades/slow_fit.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"

namespace penstock::router {
namespace {

// small says .7 whatever it answers and is right 7 times of 10; middle, at a tenth of large's
// joules, is right 8 times of 10 and gives small's answer where both are right, another one where
// one is wrong; large is always right.
OutcomeTable Agreeing(size_t rows, uint64_t seed) {
  return SyntheticTable(rows, seed, [](CounterRandom& random, float&) {
    const bool small = random.Uniform() < 0.7, middle = random.Uniform() < 0.8;
    return std::vector<Outcome>{{small ? 1.0f : 0.0f, {0.7f, 0.3f}, 1, small ? 1u : 2u},
                                {middle ? 1.0f : 0.0f, {0.8f, 0.2f}, 2, middle ? 1u : 3u},
                                {1, {0.99f, 0.01f}, 20, 1}};
  });
}

struct Fits {
  OutcomeTable train = Agreeing(2000, 3), heldout = Agreeing(2000, 4);
  CascadeFit fast = FitCascade(train, FoldsOf(train), 5);
  std::vector<std::string> warnings;
  SlowFit slow = FitSlow(train, FoldsOf(train), 5, heldout, 1, warnings);
};

TEST(FitSlow, LearnsWhatAgreementSays) {
  const Fits fits;
  EXPECT_TRUE(fits.warnings.empty());
  EXPECT_TRUE(fits.slow.knows[0]);
  EXPECT_FALSE(fits.slow.knows[1]);  // the verifier
  for (size_t row = 0; row < 50; ++row) {
    const float p = fits.slow.Predict(3, 0, 0, fits.heldout, row);
    const bool agree = fits.heldout.answers[row] == fits.heldout.answers[fits.heldout.At(1, row)];
    // P(small right | agree) = 1; else .7 * .2 / (.7 * .2 + .3) = .32.
    EXPECT_NEAR(p, agree ? 1 : 0.32, 0.06) << row;
  }
}

TEST(EvaluateSlow, ChecksNobodyAtDeltaZeroAndMoreAsItGrows) {
  const Fits fits;
  const SlowCheckReport report =
      EvaluateSlow(fits.fast, fits.slow, fits.train, fits.heldout, 0, 0.014);
  ASSERT_GE(report.points.size(), 4u);
  EXPECT_EQ(report.points.front().delta, 0);
  EXPECT_EQ(report.points.front().checked, 0);
  for (size_t i = 1; i < report.points.size(); ++i) {
    EXPECT_GE(report.points[i].checked, report.points[i - 1].checked);
  }
  EXPECT_EQ(report.points.back().checked, 1);
}

TEST(EvaluateSlow, ASecondOpinionPaysNearTheBoundary) {
  // Alone, middle is asked every time: .8 for 3 J. Knowing whether it agrees, large is asked where
  // it does not, .44 of the requests: 1 for 3 + 8.8 J, at .014 each .077 more.
  const Fits fits;
  const SlowCheckReport report =
      EvaluateSlow(fits.fast, fits.slow, fits.train, fits.heldout, 0, 0.014);
  const auto net = [&](const SlowCheckPoint& p) { return p.quality - 0.014 * p.mean_cost; };
  EXPECT_GT(net(report.points.back()), net(report.points.front()) + 0.05);
}

TEST(EvaluateSlow, AVerifierThatCostsMoreThanItCouldWinIsNotAsked) {
  // large verifies at .28: more than an estimate that moves by .2 could win, less than one by .5.
  Fits fits;
  fits.slow = FitSlow(fits.train, FoldsOf(fits.train), 5, fits.heldout, 2, fits.warnings);
  const SlowCheckReport report =
      EvaluateSlow(fits.fast, fits.slow, fits.train, fits.heldout, 0, 0.014);
  ASSERT_EQ(report.points.size(), 6u);
  EXPECT_EQ(report.points[4].delta, 0.2);
  EXPECT_EQ(report.points[4].checked, 0);
  EXPECT_EQ(report.points[5].checked, 1);
}

TEST(FitSlow, IsNotAskedForWhereItIsBadlyCalibrated) {
  const OutcomeTable train = Agreeing(2000, 3);
  OutcomeTable drifted = Agreeing(2000, 4);
  for (size_t row = 0; row < drifted.rows(); row += 2) drifted.quality[row] = 0;
  std::vector<std::string> warnings;
  const SlowFit slow = FitSlow(train, FoldsOf(train), 5, drifted, 1, warnings);
  EXPECT_FALSE(slow.knows[0]);
  ASSERT_FALSE(warnings.empty());
  EXPECT_THAT(warnings[0], testing::HasSubstr("\"middle\" on \"small\" has a calibration error"));
}

TEST(FitSlow, IsNotAskedForWhereNoHeldOutRowTellsOfIt) {
  const OutcomeTable train = Agreeing(2000, 3);
  OutcomeTable silent = Agreeing(200, 4);
  for (AnswerConfidence& confidence : silent.confidence) confidence.first = -1;
  std::vector<std::string> warnings;
  const SlowFit slow = FitSlow(train, FoldsOf(train), 5, silent, 1, warnings);
  EXPECT_THAT(slow.knows, testing::Each(0));
  ASSERT_EQ(warnings.size(), 2u);  // of small and of large
  EXPECT_THAT(warnings[0], testing::HasSubstr("no held-out row tells"));
}

}  // namespace
}  // namespace penstock::router
