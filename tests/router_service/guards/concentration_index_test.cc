#include "router_service/guards/concentration_index.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ConcentrationIndex, IsTheLargestDifferenceOfShares) {
  EXPECT_DOUBLE_EQ(*ConcentrationIndex({90, 10, 0}, {50, 30, 20}), 0.4);
  EXPECT_DOUBLE_EQ(*ConcentrationIndex({1, 0}, {0, 1}), 1);
  EXPECT_DOUBLE_EQ(*ConcentrationIndex({3, 1}, {300, 100}), 0);
}

TEST(ConcentrationIndex, NeedsEnoughOfBothKinds) {
  EXPECT_FALSE(ConcentrationIndex({0, 0}, {1, 1}));
  EXPECT_FALSE(ConcentrationIndex({5, 4}, {100, 100}, 10));
  EXPECT_TRUE(ConcentrationIndex({5, 5}, {100, 100}, 10));
}

TEST(ConcentrationWindow, ForgetsWhatLiesBehindItsWindow) {
  ConcentrationWindow window(2, 100);
  for (int i = 0; i < 100; ++i) window.Add(0, true);
  for (int i = 0; i < 100; ++i) window.Add(i % 2, false);
  EXPECT_DOUBLE_EQ(*window.Index(), 0.5);
  for (int i = 0; i < 100; ++i) window.Add(i % 2, true);
  EXPECT_DOUBLE_EQ(*window.Index(), 0);
}

TEST(ConcentrationWindow, KnowsNothingOfFewRequests) {
  ConcentrationWindow window(2);
  for (uint64_t i = 0; i + 1 < ConcentrationWindow::kLeast; ++i) window.Add(0, true);
  for (int i = 0; i < 500; ++i) window.Add(1, false);
  EXPECT_FALSE(window.Index());
  window.Add(0, true);
  EXPECT_DOUBLE_EQ(*window.Index(), 1);
}

}  // namespace
}  // namespace penstock::router
