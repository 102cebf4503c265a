#include "router_service/learning/count/count_labels.h"

#include <cmath>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"
#include "tests/router_service/learning/cascades/synthetic_table.h"

namespace penstock::router {
namespace {

TEST(AcmLabel, IsTheLeastCountAfterWhichOneMoreHelpsTooLittle) {
  // Ratios 2, 1.25, 1.0.
  const std::vector<double> error = {0.4, 0.2, 0.16, 0.16};
  EXPECT_EQ(AcmLabel(error, 1.1).count, 3u);
  EXPECT_EQ(AcmLabel(error, 1.5).count, 2u);
  EXPECT_EQ(AcmLabel(error, 3).count, 1u);
  EXPECT_TRUE(AcmLabel(error, 3).found);
}

TEST(AcmLabel, TellsTheFirstFromNone) {
  const SufficientCount first = AcmLabel({0.2, 0.2, 0.1}, 1.1);
  EXPECT_EQ(first.count, 1u);
  EXPECT_TRUE(first.found);
  const SufficientCount none = AcmLabel({0.4, 0.2, 0.1}, 1.1);
  EXPECT_EQ(none.count, 3u);
  EXPECT_FALSE(none.found);
}

TEST(AcmLabel, AnErrorOfZeroIsWorthItsExpertOnce) {
  EXPECT_EQ(AcmLabel({1, 0, 0}, 1.1).count, 2u);
  EXPECT_EQ(AcmLabel({0, 0, 0}, 1.1).count, 1u);
}

TEST(AcmLabel, ALargerFactorNeverAsksForMore) {
  for (uint64_t i = 0; i < 200; ++i) {
    CounterRandom random(21, i);
    std::vector<double> error;
    for (int m = 0; m < 6; ++m) error.push_back(random.Uniform());
    size_t before = 7;
    for (const double factor : {1.01, 1.1, 1.5, 2.0, 5.0, 100.0}) {
      const size_t count = AcmLabel(error, factor).count;
      ASSERT_LE(count, before) << i << " " << factor;
      before = count;
    }
  }
}

OutcomeTable OneRow(const std::vector<Outcome>& outcomes) {
  return SyntheticTable(1, 1, [&](CounterRandom&, float&) { return outcomes; });
}

TEST(VoteError, IsThatOfThePlurality) {
  const OutcomeTable table = OneRow({{0, {-1, 0}, 1, 7}, {1, {-1, 0}, 1, 8}, {1, {-1, 0}, 1, 8}});
  EXPECT_EQ(VoteError(table, {0, 1, 2}, 1, 0), 1);
  EXPECT_EQ(VoteError(table, {0, 1, 2}, 2, 0), 0.5);  // a tie
  EXPECT_EQ(VoteError(table, {1, 2, 0}, 2, 0), 0);
  EXPECT_EQ(VoteError(table, {0, 1, 2}, 3, 0), 0);
}

TEST(VoteError, TakesWrongAnswersThatAreNotToldAsTheSame) {
  const OutcomeTable told = OneRow({{1, {-1, 0}, 1, 1}, {0, {-1, 0}, 1, 2}, {0, {-1, 0}, 1, 3}});
  const OutcomeTable untold = OneRow({{1}, {0}, {0}});
  EXPECT_NEAR(VoteError(told, {0, 1, 2}, 3, 0), 2.0 / 3, 1e-12);
  EXPECT_EQ(VoteError(untold, {0, 1, 2}, 3, 0), 1);
}

TEST(VoteError, OfTheFirstFewDoesNotDependOnTheRest) {
  const OutcomeTable table = OneRow({{0, {-1, 0}, 1, 7}, {1, {-1, 0}, 1, 8}, {1, {-1, 0}, 1, 8}});
  for (size_t count = 1; count <= 2; ++count) {
    EXPECT_EQ(VoteError(table, {1, 0, 2}, count, 0), VoteError(table, {1, 0}, count, 0));
  }
}

TEST(VoteError, WhoIsNotKnownDoesNotVote) {
  const OutcomeTable table = OneRow({{std::nanf("")}, {1}});
  EXPECT_EQ(VoteError(table, {0, 1}, 2, 0), 0);
  EXPECT_EQ(VoteError(table, {0, 1}, 1, 0), 1);  // nobody
}

}  // namespace
}  // namespace penstock::router
