#include "gateway/forwarding/latency_window.h"

#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

TEST(LatencyWindowTest, SaysNothingBelowAHundredAnswers) {
  LatencyWindow window;
  for (int i = 0; i < 99; ++i) window.Add(absl::Milliseconds(1));
  EXPECT_FALSE(window.Quantile(0.99).has_value());
  window.Add(absl::Milliseconds(1));
  EXPECT_TRUE(window.Quantile(0.99).has_value());
}

TEST(LatencyWindowTest, BoundsTheQuantileFromAboveByABucket) {
  LatencyWindow window;
  for (int i = 1; i <= 1000; ++i) window.Add(absl::Microseconds(10 * i));
  const absl::Duration p50 = *window.Quantile(0.5);
  EXPECT_GE(p50, absl::Microseconds(5000));
  EXPECT_LE(p50, absl::Microseconds(5000) * 1.19);  // 2^(1/4)
}

TEST(LatencyWindowTest, ForgetsWhatIsTwoHalvesOld) {
  LatencyWindow window;
  for (uint32_t i = 0; i < LatencyWindow::kHalf; ++i) window.Add(absl::Seconds(1));
  for (uint32_t i = 0; i < 2 * LatencyWindow::kHalf; ++i) window.Add(absl::Milliseconds(1));
  EXPECT_LE(*window.Quantile(1.0), absl::Milliseconds(2));
}

}  // namespace
}  // namespace penstock::gateway
