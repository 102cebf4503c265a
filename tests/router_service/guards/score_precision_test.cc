#include "router_service/guards/score_precision.h"

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ScorePrecisionTest, APlanTellsItsWorthToTwoDecimals) {
  v1::GetPlanResponse response;
  response.set_version(3);
  for (int i = 0; i < 2; ++i) {
    v1::ClassPlan& plan = *response.add_classes();
    plan.set_value(0.8037 + i);
    plan.set_gap(0.0049);
    plan.set_energy_j(0.1234);
  }
  CoarsenScores(response);
  EXPECT_EQ(response.version(), 3u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response.classes(i).value(), 0.8 + i);
    EXPECT_EQ(response.classes(i).gap(), 0);
    EXPECT_EQ(response.classes(i).energy_j(), 0.1234);
  }
}

}  // namespace
}  // namespace penstock::router
