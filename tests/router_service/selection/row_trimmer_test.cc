#include "router_service/selection/row_trimmer.h"

#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using Keep = std::vector<uint8_t>;

// Two rows with two experts each; weight per joule .1, .4, .06, .3.
std::vector<RowPair> TwoRows() {
  return {{0, 0, 0.6, 6}, {0, 1, 0.4, 1}, {1, 0, 0.3, 5}, {1, 2, 0.7, 2.5}};
}

class RowTrimmerTest : public testing::Test {
 protected:
  void Trim() {
    keep_.assign(pairs_.size(), 2);
    trimmer_.Trim(absl::MakeSpan(pairs_), limits_, absl::MakeSpan(keep_), result_);
  }
  RowTrimmer trimmer_;
  std::vector<RowPair> pairs_ = TwoRows();
  RowTrimLimits limits_{.rows = 2};
  RowTrimResult result_;
  Keep keep_;
};

TEST_F(RowTrimmerTest, WithoutALimitAllStay) {
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 1, 1, 1}));
  EXPECT_DOUBLE_EQ(result_.energy_j, 14.5);
  EXPECT_DOUBLE_EQ(pairs_[0].weight, 0.6);
}

TEST_F(RowTrimmerTest, DropsTheLowestWeightPerJouleFirst) {
  limits_.energy_cap_j = 14;
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 1, 0, 1}));
  EXPECT_DOUBLE_EQ(result_.energy_j, 9.5);
  EXPECT_EQ(result_.dropped_by_cap, 1u);
}

TEST_F(RowTrimmerTest, NeverARowsBestThoughItIsTheDearest) {
  limits_.energy_cap_j = 1;
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 0, 0, 1}));
  EXPECT_FALSE(result_.within_cap);
}

TEST_F(RowTrimmerTest, KeptWeightsOfARowSumToOne) {
  limits_.energy_cap_j = 14;
  Trim();
  EXPECT_DOUBLE_EQ(pairs_[3].weight, 1);
  EXPECT_DOUBLE_EQ(pairs_[0].weight + pairs_[1].weight, 1);
}

TEST_F(RowTrimmerTest, APriceDropsWhatIsNotWorthItsJoules) {
  limits_.price_per_joule = 0.08;
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 1, 0, 1}));
  EXPECT_EQ(result_.dropped, 1u);
  EXPECT_EQ(result_.dropped_by_cap, 0u);
}

TEST_F(RowTrimmerTest, AmongEqualsTheLastRowsLastExpertGoesFirst) {
  pairs_ = {{0, 0, 0.5, 1}, {0, 1, 0.25, 1}, {1, 0, 0.5, 1}, {1, 1, 0.25, 1}, {1, 2, 0.25, 1}};
  limits_.energy_cap_j = 4;
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 1, 1, 1, 0}));
  pairs_ = {{0, 3, 0.5, 1}, {0, 1, 0.5, 1}};
  limits_ = {.energy_cap_j = 1, .rows = 1};
  Trim();
  EXPECT_EQ(keep_, (Keep{0, 1}));  // the best of equals is the lowest expert
}

TEST_F(RowTrimmerTest, PairsThatTakeNothingStay) {
  pairs_ = {{0, 0, 0.6, 1}, {0, 1, 0.4, 0}};
  limits_ = {.price_per_joule = 100, .energy_cap_j = 1, .rows = 1};
  Trim();
  EXPECT_EQ(keep_, (Keep{1, 1}));
}

TEST_F(RowTrimmerTest, TheCurveRunsFromTheBestAloneToAllOfThem) {
  pairs_.clear();
  for (uint32_t row = 0; row < 40; ++row) {
    CounterRandom random(1, row);
    for (uint32_t expert = 0; expert < 4; ++expert) {
      pairs_.push_back({row, expert, random.Uniform(), 0.5 + random.Uniform()});
    }
  }
  double all = 0;
  for (const RowPair& pair : pairs_) all += pair.energy_j;
  limits_ = {.energy_cap_j = 60, .rows = 40};
  Trim();
  EXPECT_LE(result_.curve.size(), RowTrimmer::kCurve);
  EXPECT_DOUBLE_EQ(result_.curve.back().energy_j, all);
  for (size_t i = 2; i < result_.curve.size(); ++i) {
    const auto slope = [&](size_t at) {
      return (result_.curve[at].quality - result_.curve[at - 1].quality) /
             (result_.curve[at].energy_j - result_.curve[at - 1].energy_j);
    };
    EXPECT_LE(slope(i), slope(i - 1)) << i;
  }
  EXPECT_LE(result_.energy_j, 60);
}

}  // namespace
}  // namespace penstock::router
