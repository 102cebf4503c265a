#include "router_service/planning/live/resident_switch.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock::router {
namespace {

class ResidentSwitchTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  ResidentSwitch residents_{
      {.least_dwell = absl::Seconds(30), .expected_dwell = absl::Seconds(60), .dwell_weight = 0.5},
      clock_};
};

TEST_F(ResidentSwitchTest, PaysWhatTheSetIsExpectedToStay) {
  EXPECT_TRUE(residents_.Pays(1, 59));
  EXPECT_FALSE(residents_.Pays(1, 60));
  EXPECT_FALSE(residents_.Pays(0, 0));
  EXPECT_FALSE(residents_.Pays(-1, 0));
}

TEST_F(ResidentSwitchTest, KeepsTheLeastDwell) {
  residents_.Changed();
  clock_.Advance(absl::Seconds(29));
  EXPECT_FALSE(residents_.Pays(1000, 0));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(residents_.Pays(1000, 0));
}

TEST_F(ResidentSwitchTest, LearnsHowLongSetsStay) {
  residents_.Changed();
  clock_.Advance(absl::Seconds(120));
  residents_.Changed();  // (60 + 120) / 2
  clock_.Advance(absl::Seconds(30));
  EXPECT_TRUE(residents_.Pays(1, 89));
  EXPECT_FALSE(residents_.Pays(1, 90));
}

}  // namespace
}  // namespace penstock::router
