#include "router_service/exploration/feature_sketch.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;

std::vector<double> Sketch(const FeatureView& z, size_t dimension) {
  std::vector<double> sketch;
  SketchFeatures(z, dimension, sketch);
  return sketch;
}

double Product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t k = 1; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

TEST(FeatureSketchTest, AOneAndAUnitVector) {
  const std::vector<float> dense = {3, -4, 12};
  const std::vector<double> sketch = Sketch(dense, 16);
  ASSERT_EQ(sketch.size(), 16u);
  EXPECT_EQ(sketch[0], 1);
  EXPECT_NEAR(Product(sketch, sketch), 1, 1e-12);
  EXPECT_EQ(sketch, Sketch(dense, 16));
}

TEST(FeatureSketchTest, WhatIsAlikeStaysAlike) {
  std::vector<uint32_t> at;
  std::vector<float> one, other, unlike;
  for (uint32_t i = 0; i < 200; ++i) {
    at.push_back(7 * i);
    one.push_back(1);
    other.push_back(i < 180 ? 1.0f : -1.0f);
    unlike.push_back(i % 2 == 0 ? 1.0f : -1.0f);
  }
  const auto sketch = [&](const std::vector<float>& values) {
    return Sketch(FeatureView({}, at, values), 256);
  };
  // The cosines are .8 and 0.
  EXPECT_NEAR(Product(sketch(one), sketch(other)), 0.8, 0.2);
  EXPECT_NEAR(Product(sketch(one), sketch(unlike)), 0, 0.25);
}

TEST(FeatureSketchTest, TheSamePlaceInBothPartsDiffers) {
  const std::vector<uint32_t> at = {0, 1, 2};
  const std::vector<float> values = {1, 2, 3};
  EXPECT_NE(Sketch(values, 64), Sketch(FeatureView({}, at, values), 64));
}

TEST(FeatureSketchTest, NothingKnownLeavesTheOne) {
  EXPECT_THAT(Sketch(FeatureView::Unknown(), 3), ElementsAre(1, 0, 0));
  EXPECT_THAT(Sketch(std::vector<float>{0, 0}, 3), ElementsAre(1, 0, 0));
  EXPECT_THAT(Sketch(std::vector<float>{1, 2}, 1), ElementsAre(1));
}

}  // namespace
}  // namespace penstock::router
