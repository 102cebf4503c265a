#include "common/net/library_log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock {
namespace {

using testing::EndsWith;
using testing::SizeIs;
using testing::StartsWith;

TEST(StrangersLogTest, WhatTheySendBeginsNoLineOfItsOwn) {
  FakeClock clock;
  StrangersLog log(clock, 10, absl::Seconds(10));
  EXPECT_EQ(log.Line("value=a\r\nevent=\"audit\"\xff"),
            "\"value=a\\r\\nevent=\\\"audit\\\"\\xff\" left_out=0");
}

TEST(StrangersLogTest, LongTextsAreCut) {
  FakeClock clock;
  StrangersLog log(clock, 10, absl::Seconds(10));
  EXPECT_THAT(log.Line(std::string(100'000, 'a')), SizeIs(testing::Le(600)));
}

TEST(StrangersLogTest, OfEachPeriodAFewLinesAreKeptAndTheRestCounted) {
  FakeClock clock;
  StrangersLog log(clock, 2, absl::Seconds(10));
  EXPECT_THAT(log.Line("a"), StartsWith("\"a\""));
  EXPECT_THAT(log.Line("b"), StartsWith("\"b\""));
  EXPECT_EQ(log.Line("c"), "");
  clock.Advance(absl::Seconds(9));
  EXPECT_EQ(log.Line("d"), "");
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(log.Line("e"), "\"e\" left_out=2");
  EXPECT_THAT(log.Line("f"), EndsWith("left_out=0"));
  EXPECT_EQ(log.Line("g"), "");
}

}  // namespace
}  // namespace penstock
