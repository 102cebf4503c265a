#include "router_service/planning/live/plan_sample.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::Time At(double seconds) { return absl::FromUnixSeconds(1000) + absl::Seconds(seconds); }

TEST(PlanSampleTest, KeepsTheLatestRequestsByExpert) {
  PlanSample sample(/*experts=*/2, /*capacity=*/3);
  for (int r = 0; r < 5; ++r) {
    const double at = r;
    sample.Record(At(r), 0, {at, at + 0.5}, {10 + at, 20 + at}, {100 + at, 200 + at});
  }
  const PlanSample::Rows rows = sample.Read(std::nullopt, At(4));
  EXPECT_EQ(rows.rows, 3);
  EXPECT_THAT(rows.score, ElementsAre(3, 4, 2, 3.5, 4.5, 2.5));
  EXPECT_THAT(rows.energy_j, ElementsAre(13, 14, 12, 23, 24, 22));
  EXPECT_THAT(rows.latency_s, ElementsAre(103, 104, 102, 203, 204, 202));
  EXPECT_DOUBLE_EQ(rows.requests_per_s, 1.5);
}

TEST(PlanSampleTest, ReadsOneClassByItself) {
  PlanSample sample(/*experts=*/1, /*capacity=*/8);
  sample.Record(At(0), 0, {1}, {1}, {1});
  sample.Record(At(1), 2, {2}, {2}, {2});
  sample.Record(At(2), 0, {3}, {3}, {3});
  sample.Record(At(3), 2, {4}, {4}, {4});
  EXPECT_THAT(sample.Read(2, At(5)).score, ElementsAre(2, 4));
  EXPECT_DOUBLE_EQ(sample.Read(2, At(5)).requests_per_s, 0.5);
  EXPECT_THAT(sample.Read(1, At(5)).score, IsEmpty());
  EXPECT_EQ(sample.Read(1, At(5)).rows, 0);
}

}  // namespace
}  // namespace penstock::router
