#include "router_service/replicas/hot_cold.h"

#include <vector>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

ReplicaView Known(double in_flight, double latency_ms) {
  ReplicaView view;
  view.in_flight = in_flight;
  view.latency_s = latency_ms / 1e3;
  return view;
}

// a(3, 40 ms) b(9, 12 ms) c(5, 20 ms) d(1, 55 ms).
std::vector<ReplicaView> KnownPool() {
  return {Known(3, 40), Known(9, 12), Known(5, 20), Known(1, 55)};
}

double Threshold(std::vector<double> in_flight, double quantile) {
  return HotThreshold(absl::MakeSpan(in_flight), quantile);
}

TEST(HotColdTest, AtTheMedianTheQuickestOfThreeColdOnesIsPicked) {
  EXPECT_EQ(Threshold({3, 9, 5, 1}, 0.5), 5);
  EXPECT_EQ(PickHotCold(KnownPool(), {}, 0.5), 2u);  // of a, c and d: c
}

TEST(HotColdTest, AtTheDefaultQuantileAllFourAreColdAndTheQuickestIsPicked) {
  EXPECT_EQ(Threshold({3, 9, 5, 1}, 0.84), 9);
  EXPECT_EQ(PickHotCold(KnownPool(), {}, 0.84), 1u);
}

TEST(HotColdTest, WhereAllAreHotTheFewestInFlightArePicked) {
  // Two idle ones make them so, and were tried already.
  std::vector<ReplicaView> replicas = KnownPool();
  replicas.push_back(Known(0, 5));
  replicas.push_back(Known(0, 5));
  EXPECT_EQ(Threshold({3, 9, 5, 1, 0, 0}, 0.2), 0);
  const std::vector<size_t> tried = {4, 5};
  EXPECT_EQ(PickHotCold(replicas, tried, 0.2), 3u);  // d
}

TEST(HotColdTest, ASlowReplicaWithLittleInFlightIsNotPickedWhileAQuickerOneIsCold) {
  const std::vector<ReplicaView> replicas = {Known(0, 100), Known(4, 5), Known(6, 5)};
  EXPECT_EQ(PickHotCold(replicas, {}, 0.84), 1u);
}

TEST(HotColdTest, AHotReplicaIsNotPickedHoweverQuick) {
  const std::vector<ReplicaView> replicas = {Known(1, 40), Known(30, 1), Known(2, 30),
                                             Known(2, 35)};
  EXPECT_EQ(PickHotCold(replicas, {}, 0.5), 2u);
}

TEST(HotColdTest, WhatIsNotKnownUnhealthyOrTriedIsNotPicked) {
  std::vector<ReplicaView> replicas = {Known(0, 1), Known(0, 2), Known(0, 3), Known(0, 4)};
  replicas[0].healthy = false;
  replicas[1].latency_s.reset();
  const std::vector<size_t> tried = {2};
  EXPECT_EQ(PickHotCold(replicas, tried, 0.84), 3u);
  replicas[3].latency_s.reset();
  EXPECT_EQ(PickHotCold(replicas, tried, 0.84), std::nullopt);
  EXPECT_EQ(PickHotCold({}, {}, 0.84), std::nullopt);
}

TEST(HotColdTest, EqualLatenciesGoToTheLessLoadedThenToTheFirst) {
  EXPECT_EQ(PickHotCold(std::vector<ReplicaView>{Known(2, 5), Known(1, 5), Known(1, 5)}, {}, 1),
            1u);
}

TEST(HotColdTest, TheThresholdIsTheValueAtItsRank) {
  EXPECT_EQ(Threshold({7}, 0.84), 7);
  EXPECT_EQ(Threshold({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.84), 9);  // floor(8.4) = 8, from 0
  EXPECT_EQ(Threshold({10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 1), 10);
}

}  // namespace
}  // namespace penstock::router
