#include "router_service/selection/batch_places.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

TEST(BatchPlacesTest, FreeSlotsThenQueuesToOneLevel) {
  const std::vector<double> in_flight = {4, 1, 9, 0}, slots = {4, 4, 8, 0};
  EXPECT_THAT(PlacesFor(in_flight, slots, 3), ElementsAre(0, 3, 0, 0));
  // At 1.25 a slot there is room for 6: 5 - 4, 5 - 1 and 10 - 9.
  EXPECT_THAT(PlacesFor(in_flight, slots, 6), ElementsAre(1, 4, 1, 0));
}

TEST(BatchPlacesTest, NobodyTakesMoreThanThereAre) {
  EXPECT_THAT(PlacesFor(std::vector<double>{0, 0}, std::vector<double>{100, 1}, 2),
              ElementsAre(2, 1));
}

TEST(BatchPlacesTest, ALongQueueTakesNothingMore) {
  EXPECT_THAT(PlacesFor(std::vector<double>{50, 4}, std::vector<double>{4, 4}, 10),
              ElementsAre(0, 10));
}

TEST(BatchPlacesTest, WhereNobodyServesThereIsNoPlace) {
  EXPECT_THAT(PlacesFor(std::vector<double>{3, 0}, std::vector<double>{0, 0}, 5),
              ElementsAre(0, 0));
}

}  // namespace
}  // namespace penstock::router
