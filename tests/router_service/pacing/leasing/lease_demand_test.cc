#include "router_service/pacing/leasing/lease_demand.h"

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

class LeaseDemandTest : public testing::Test {
 protected:
  void Draw(int times, absl::Duration every, int64_t amount) {
    for (int i = 0; i < times; ++i) {
      now_ += every;
      demand_.Note(amount, now_);
    }
  }

  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  LeaseDemand demand_;
};

TEST_F(LeaseDemandTest, NothingWasDrawn) {
  EXPECT_EQ(demand_.Rate(now_), 0);
  EXPECT_EQ(demand_.largest(), 0);
}

TEST_F(LeaseDemandTest, ASteadyRateIsKnownWithinASecond) {
  Draw(20, absl::Milliseconds(50), 5);
  EXPECT_NEAR(demand_.Rate(now_), 100, 6);
  Draw(2000, absl::Milliseconds(50), 5);
  EXPECT_NEAR(demand_.Rate(now_), 100, 1);
}

TEST_F(LeaseDemandTest, ItFadesWithinTenSeconds) {
  Draw(2000, absl::Milliseconds(50), 5);
  EXPECT_NEAR(demand_.Rate(now_ + absl::Seconds(10)), 100 / 2.71828, 1);
  EXPECT_LT(demand_.Rate(now_ + absl::Minutes(2)), 0.01);
}

TEST_F(LeaseDemandTest, OneAloneIsNoRateOfManyASecond) {
  demand_.Note(100, now_);
  // In half a second at the most.
  EXPECT_LE(demand_.Rate(now_), 206);
  EXPECT_NEAR(demand_.Rate(now_ + absl::Seconds(5)), 100 * 0.6065 / (10 * 0.3935), 0.1);
}

TEST_F(LeaseDemandTest, TheLargestFadesWithWhatComesAfterIt) {
  demand_.Note(1000, now_);
  EXPECT_EQ(demand_.largest(), 1000);
  Draw(100, absl::Seconds(1), 10);
  EXPECT_LT(demand_.largest(), 500);
  Draw(2000, absl::Seconds(1), 10);
  EXPECT_LT(demand_.largest(), 100);
  EXPECT_GE(demand_.largest(), 10);
}

}  // namespace
}  // namespace penstock::router
