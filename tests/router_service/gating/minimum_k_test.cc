#include "router_service/gating/minimum_k.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

TEST(MinimumK, IsTheLargestCellForOneActiveExpert) { EXPECT_EQ(MinimumK({3, 1}, 1), 3u); }

TEST(MinimumK, AddsTheLargestCells) {
  EXPECT_EQ(MinimumK({3, 1}, 2), 4u);
  EXPECT_EQ(MinimumK({1, 4, 2, 4}, 3), 10u);
}

TEST(BehaviourCells, JoinsExpertsThatAgreeTransitively) {
  // 0 ~ 2 ~ 3, and 1 alone.
  const std::vector<double> agreement = {1,    0.2, 0.95, 0.5,  0.2, 1,   0.3,  0.4,
                                         0.95, 0.3, 1,    0.92, 0.5, 0.4, 0.92, 1};
  EXPECT_THAT(BehaviourCells(4, agreement), ElementsAre(0, 1, 0, 0));
}

TEST(BehaviourCells, KeepsExpertsApartAtTheThreshold) {
  const std::vector<double> agreement = {1, 0.9, 0.9, 1};
  EXPECT_THAT(BehaviourCells(2, agreement), ElementsAre(0, 1));
}

}  // namespace
}  // namespace penstock::router
