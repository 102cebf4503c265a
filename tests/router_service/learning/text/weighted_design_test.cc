#include "router_service/learning/text/weighted_design.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

// Times of three words in three prompts, log(1 + times) each.
TextOutcomes Outcomes(const std::vector<std::vector<int>>& times) {
  TextOutcomes outcomes;
  outcomes.counts.columns = 4;
  for (const std::vector<int>& row : times) {
    std::vector<uint32_t> at;
    std::vector<float> value;
    for (size_t j = 0; j < row.size(); ++j) {
      if (row[j] == 0) continue;
      at.push_back(static_cast<uint32_t>(j));
      value.push_back(std::log1p(static_cast<float>(row[j])));
    }
    outcomes.counts.Add(at, value);
    outcomes.groups.push_back("");
  }
  return outcomes;
}

TEST(WeightedDesign, RowsAreWeightedAndHaveLengthOne) {
  const TextOutcomes outcomes = Outcomes({{1, 2, 0}, {0, 3, 0}, {0, 0, 0}});
  const size_t taken[] = {0, 1, 2};
  const FeatureWeighting weighting = FitWeighting(outcomes, taken, 0.3, 4);
  EXPECT_FLOAT_EQ(weighting.idf[0], std::log(4.0f / 2) + 1);
  EXPECT_FLOAT_EQ(weighting.idf[1], std::log(4.0f / 3) + 1);
  EXPECT_FLOAT_EQ(weighting.idf[2], std::log(4.0f) + 1);
  const SparseRows rows = WeightedRows(outcomes, weighting, taken);
  EXPECT_NEAR(std::hypot(rows.Values(0)[0], rows.Values(0)[1]), 1, 1e-6);
  EXPECT_NEAR(rows.Values(0)[0] / rows.Values(0)[1],
              std::log(2.0f) * weighting.idf[0] / (std::log(3.0f) * weighting.idf[1]), 1e-6);
  EXPECT_FLOAT_EQ(rows.Values(1)[0], 1);
  EXPECT_TRUE(rows.Values(2).empty());
}

TEST(WeightedDesign, FoldedColumnsCountTheirWordsTogether) {
  const TextOutcomes outcomes = Outcomes({{1, 2, 0, 5}, {1, 0, 0, 0}});
  const size_t taken[] = {0, 1};
  const FeatureWeighting weighting = FitWeighting(outcomes, taken, 0.3, 2);
  EXPECT_EQ(weighting.fold_shift, 1u);
  ASSERT_EQ(weighting.idf.size(), 2u);
  EXPECT_FLOAT_EQ(weighting.idf[0], 1);  // both rows have it, each once
  EXPECT_FLOAT_EQ(weighting.idf[1], std::log(3.0f / 2) + 1);
  std::vector<uint32_t> columns;
  std::vector<float> values;
  weighting.Apply(outcomes.Features(0), columns, values);
  EXPECT_THAT(columns, ElementsAre(0, 1));
  EXPECT_NEAR(values[0] / values[1], std::log(4.0f) / (std::log(6.0f) * (std::log(3.0f / 2) + 1)),
              1e-6);
}

TEST(WeightedDesign, DenseFeaturesAreCentredAndHaveTheirShare) {
  TextOutcomes outcomes = Outcomes({{}, {}});
  outcomes.dense_dimension = 2;
  outcomes.dense = {1, 7, 3, 7};
  const size_t taken[] = {0, 1};
  const FeatureWeighting weighting = FitWeighting(outcomes, taken, 0.5, 4);
  std::vector<uint32_t> columns;
  std::vector<float> values;
  weighting.Apply(outcomes.Features(1), columns, values);
  EXPECT_THAT(columns, ElementsAre(4, 5));
  EXPECT_NEAR(values[0], 0.5 / std::sqrt(2.0), 1e-6);  // one deviation above the mean
  EXPECT_EQ(values[1], 0);                             // never varies
}

TEST(WeightedDesign, ASphereTakesTheFarthestRowAsItsRadius) {
  FeatureWeighting weighting;
  weighting.dense_mean = {1, 0};
  weighting.dense_scale = {1, 2};
  weighting.sphere = 13;
  EXPECT_EQ(weighting.columns(), 3u);
  std::vector<uint32_t> columns;
  std::vector<float> values;
  weighting.Apply(std::vector<float>{4, 2}, columns, values);  // (3, 4), of length 5
  EXPECT_THAT(columns, ElementsAre(0, 1, 2));
  EXPECT_THAT(values, ElementsAre(3, 4, 12));
  weighting.Apply(std::vector<float>{41, 0}, columns, values);  // beyond it
  EXPECT_THAT(values, ElementsAre(40, 0, 0));
}

}  // namespace
}  // namespace penstock::router
