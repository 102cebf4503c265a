#include "router_service/selection/other_prices.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using Ids = std::vector<size_t>;

// small: .6, $.001; middle: .75, $.01; large: .9, $.1. Each a joule and 10 ms.
class OtherPricesTest : public testing::Test {
 protected:
  OtherPricesTest() : scored_(3) {
    const double quality[] = {0.6, 0.75, 0.9};
    for (size_t i = 0; i < 3; ++i) {
      scored_.Set(i, {quality[i], quality[i], 0.5, 0.01, 0.01, 1, Exclusion::kNone});
    }
  }

  Ids Choose() {
    priced_ = scored_;
    ApplyPrices(terms_, amounts_, limits_.value, priced_);
    excluded_.assign(3, Exclusion::kNone);
    cascade_ = SelectWithinBudgets(selector_, priced_, amounts_, terms_, limits_, first_,
                                   absl::MakeSpan(excluded_), result_);
    Ids chosen;
    for (const SelectedExpert& expert : result_.chosen) chosen.push_back(expert.expert);
    return chosen;
  }

  Selector selector_;
  CandidateColumns scored_, priced_;
  std::vector<Amounts> amounts_ = {{1, 0, 0.001}, {1, 0, 0.01}, {1, 0, 0.1}};
  OtherTerms terms_;
  SelectionLimits limits_;
  std::optional<uint32_t> first_;
  std::vector<Exclusion> excluded_;
  SelectionResult result_;
  bool cascade_ = false;
};

// .15 more for $.09 more is worth it below 1.67 a dollar, .15 for $.009 below 16.7.
TEST_F(OtherPricesTest, APriceOfDollarsMakesTheChoiceCheaper) {
  EXPECT_EQ(Choose(), Ids{2});
  terms_.dollars.price = 1.6;
  EXPECT_EQ(Choose(), Ids{2});
  terms_.dollars.price = 1.7;
  EXPECT_EQ(Choose(), Ids{1});
  EXPECT_NEAR(result_.objective, 0.75 - 1.7 * 0.01, 1e-12);
  EXPECT_EQ(result_.verdict, SelectionVerdict::kChosen);
  terms_.dollars.price = 17;
  EXPECT_EQ(Choose(), Ids{0});
}

TEST_F(OtherPricesTest, TheValueOfARightAnswerScalesThePrice) {
  limits_.value = 10;
  terms_.dollars.price = 16;
  EXPECT_EQ(Choose(), Ids{2});
  terms_.dollars.price = 17;
  EXPECT_EQ(Choose(), Ids{1});
}

TEST_F(OtherPricesTest, PricesOfSeveralResourcesAddUp) {
  amounts_[2].accelerator_seconds = 2;
  terms_.dollars.price = 1;  // .09 of the .15
  terms_.accelerator_seconds.price = 0.029;
  EXPECT_EQ(Choose(), Ids{2});
  terms_.accelerator_seconds.price = 0.031;
  EXPECT_EQ(Choose(), Ids{1});
}

TEST_F(OtherPricesTest, WhatIsNotCoveredIsGivenUpAndSaidSo) {
  terms_.dollars.headroom = 0.05;
  EXPECT_EQ(Choose(), Ids{1});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kDegraded);
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  EXPECT_EQ(excluded_[2], Exclusion::kBudget);
}

TEST_F(OtherPricesTest, WhereNobodyIsCoveredTheOneThatTakesLeastRuns) {
  terms_.dollars.headroom = 0;
  EXPECT_EQ(Choose(), Ids{0});
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
  terms_.dollars.price = 100;  // it would have been chosen anyhow: nothing is given up
  EXPECT_EQ(Choose(), Ids{0});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kChosen);
}

TEST_F(OtherPricesTest, TheLeastIsLookedForAmongThoseInTime) {
  scored_.Set(0, {0.6, 0.6, 0.5, 9, 9, 1, Exclusion::kNone});
  limits_.time_left_s = 1;
  terms_.dollars.headroom = 0;
  EXPECT_EQ(Choose(), Ids{1});
}

TEST_F(OtherPricesTest, APromiseOfQualityGivesWayBeforeTheAnswerDoes) {
  limits_.min_quality = 0.8;
  terms_.dollars.headroom = 0.05;
  EXPECT_EQ(Choose(), Ids{1});
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
}

TEST_F(OtherPricesTest, SeveralAreCoveredTogetherOrOneAlone) {
  limits_.max_experts = 2;
  terms_.dollars.headroom = 0.2;
  EXPECT_EQ(Choose().size(), 2u);
  terms_.dollars.headroom = 0.105;  // the best two take $.11
  EXPECT_EQ(Choose(), Ids{2});
  EXPECT_EQ(result_.degraded, Degraded::kBudget);
}

TEST_F(OtherPricesTest, WhomTheCallerNamedAndWhoIsBeyondHeadroomRun) {
  terms_.dollars.headroom = 0;
  const uint32_t forced[] = {2};
  limits_.forced = forced;
  EXPECT_EQ(Choose(), Ids{2});
  limits_.forced = {};
  const std::vector<uint8_t> beyond = {0, 0, 1};
  limits_.beyond_headroom = beyond;
  EXPECT_EQ(Choose(), Ids{2});
  EXPECT_EQ(result_.verdict, SelectionVerdict::kChosen);
}

TEST_F(OtherPricesTest, ACascadesFirstAnswersWhateverTheHeadroom) {
  first_ = 1;
  terms_.dollars.headroom = 0;
  terms_.dollars.price = 1000;
  EXPECT_EQ(Choose(), Ids{1});
  EXPECT_TRUE(cascade_);
}

}  // namespace
}  // namespace penstock::router
