#include "expert_service/batching/latency_model.h"

#include <algorithm>
#include <vector>

#include "common/random.h"
#include "gtest/gtest.h"

namespace penstock::expert {
namespace {

constexpr absl::Duration kMs = absl::Milliseconds(1);

absl::Duration Truth(int64_t size) { return 2 * kMs + 0.5 * kMs * size; }

TEST(LatencyModelTest, KnowsNothingBeforeItSawAnything) {
  const LatencyModel model;
  EXPECT_EQ(model.Upper(100), absl::ZeroDuration());
}

TEST(LatencyModelTest, LearnsTheLine) {
  LatencyModel model;
  for (int i = 0; i < 20; ++i) model.Observe(1 + i % 7, Truth(1 + i % 7));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Mean(32)), 18, 1e-6);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Upper(32)), 18, 1e-6);
}

TEST(LatencyModelTest, OneSizeAloneIsTakenAsProportional) {
  LatencyModel model;
  for (int i = 0; i < 20; ++i) model.Observe(4, 8 * kMs);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Mean(8)), 16, 1e-6);
}

TEST(LatencyModelTest, AnchorsKeepTheSlopeUnderEqualSizes) {
  LatencyModel model;
  model.AddAnchor(1, Truth(1));
  model.AddAnchor(64, Truth(64));
  for (int i = 0; i < 500; ++i) model.Observe(1, Truth(1));
  EXPECT_NEAR(absl::ToDoubleMilliseconds(model.Mean(64)), 34, 0.1);
}

TEST(LatencyModelTest, UpperCoversAllButOnePerHundred) {
  LatencyModel model;
  CounterRandom random(7, 0);
  int missed = 0;
  constexpr int kCount = 4000;
  for (int i = 0; i < kCount; ++i) {
    const int64_t size = 1 + static_cast<int64_t>(random.Below(16));
    const absl::Duration took = Truth(size) * (1 + 0.3 * random.Uniform() * random.Uniform());
    if (i >= 200 && took > model.Upper(size)) ++missed;
    model.Observe(size, took);
  }
  // The second largest of 128: 1.6 % expected, three standard deviations above are 2.2 %.
  EXPECT_LT(missed, 0.022 * (kCount - 200));
}

TEST(LatencyModelTest, OneOutlierDoesNotSpoilTheUpperBound) {
  LatencyModel model;
  for (int i = 0; i < 200; ++i) model.Observe(1 + i % 8, Truth(1 + i % 8));
  model.Observe(4, 100 * Truth(4));
  EXPECT_LT(model.Upper(4), 2.5 * Truth(4));
}

TEST(LatencyModelTest, RecoversWithinTwentyBatchesFromBeingOffByHalf) {
  for (const double factor : {1.5, 1 / 1.5}) {
    LatencyModel model;
    for (int i = 0; i < 300; ++i) model.Observe(1 + i % 8, Truth(1 + i % 8));
    for (int i = 0; i < 20; ++i) model.Observe(1 + i % 8, factor * Truth(1 + i % 8));
    for (const int64_t size : {1, 4, 8}) {
      EXPECT_NEAR(absl::FDivDuration(model.Upper(size), factor * Truth(size)), 1, 0.05) << factor;
    }
  }
}

TEST(LatencyModelTest, AnchorsFollowAChangeOfRegime) {
  LatencyModel model;
  model.AddAnchor(1, 10 * Truth(1));
  model.AddAnchor(64, 10 * Truth(64));
  for (int i = 0; i < 20; ++i) model.Observe(1, Truth(1));
  EXPECT_NEAR(absl::FDivDuration(model.Mean(64), Truth(64)), 1, 0.05);
}

}  // namespace
}  // namespace penstock::expert
