#include "common/logging/log.h"

#include <limits>
#include <thread>

#include "common/logging/event_limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_log.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;
using testing::StartsWith;

TEST(LogTest, ALineSaysWhenHowBadWhoAndWhat) {
  CapturedLog captured;
  LogInfo("ready").With("pools", 3).With("shared", true).With("share", 0.5).With("name", "a b");
  EXPECT_THAT(captured.Lines(),
              ElementsAre("time=1970-01-12T13:46:40.000000Z level=info service=test event=ready "
                          "pools=3 shared=true share=0.5 name=\"a b\""));
}

TEST(LogTest, JsonSaysTheSame) {
  CapturedLog captured({LogFormat::kJson});
  LogWarning("late").With("seconds", std::numeric_limits<double>::infinity()).With("n", -1);
  EXPECT_THAT(captured.Lines(),
              ElementsAre("{\"time\":\"1970-01-12T13:46:40.000000Z\",\"level\":\"warning\","
                          "\"service\":\"test\",\"event\":\"late\",\"seconds\":\"inf\",\"n\":-1}"));
}

TEST(LogTest, WhatIsLessBadThanTheLevelIsNotWritten) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kWarning});
  LogDebug("a");
  LogInfo("b");
  LogWarning("c");
  LogError("d");
  EXPECT_THAT(captured.Lines(), ElementsAre(EndsWith("event=c"), EndsWith("event=d")));
}

TEST(LogTest, AnotherServiceOfTheProcessSpeaksForItself) {
  CapturedLog captured;
  LogEvent(LogLevel::kInfo, "ready", "router").With("n", 1);
  EXPECT_THAT(captured.Lines(), ElementsAre(HasSubstr("service=router event=ready n=1")));
}

TEST(LogTest, AnEventsNextLineSaysHowManyWereSuppressed) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kInfo, 2});
  for (int i = 0; i < 100; ++i) LogInfo("flood");
  LogInfo("other");
  EXPECT_THAT(captured.Lines(), SizeIs(3));
  captured.clock().Advance(absl::Seconds(1));
  LogInfo("flood").With("i", 100);
  EXPECT_THAT(captured.Lines().back(), EndsWith("event=flood suppressed=98 i=100"));
  LogInfo("flood");
  EXPECT_THAT(captured.Lines().back(), EndsWith("event=flood"));
  EXPECT_EQ(captured.log().suppressed(), 98u);
}

TEST(LogTest, SuppressedAreOnlyLinesThatTheLevelLetsThrough) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kInfo, 1});
  for (int i = 0; i < 100; ++i) LogDebug("quiet");
  EXPECT_EQ(captured.log().suppressed(), 0u);
  EXPECT_THAT(captured.Lines(), IsEmpty());
}

TEST(LogTest, AuditsPassTheLevelAndLastWordsTheRateToo) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kError, 1});
  for (int i = 0; i < 5; ++i) LogEvent(LogLevel::kInfo, "audit", "", LogRule::kAudit);
  for (int i = 0; i < 5; ++i) LogEvent(LogLevel::kInfo, "end", "", LogRule::kAlways);
  EXPECT_THAT(captured.Lines(), SizeIs(1 + 5));
}

TEST(LogTest, StrangersHaveALineASecondAtMost) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kInfo, 1000});
  for (int i = 0; i < 5; ++i) LogEvent(LogLevel::kInfo, "grpc", "", LogRule::kStranger);
  EXPECT_THAT(captured.Lines(), SizeIs(1));
}

TEST(LogTest, ServicesOfOneProcessDoNotTakeEachOthersLines) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kInfo, 1});
  LogEvent(LogLevel::kInfo, "request_refused", "gateway");
  LogEvent(LogLevel::kInfo, "request_refused", "router");
  EXPECT_THAT(captured.Lines(), SizeIs(2));
}

TEST(LogTest, ALogIsChangedWhileItIsWrittenTo) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kInfo, 1e5});
  std::thread other([] {
    for (int i = 0; i < 1000; ++i) LogInfo("busy").With("i", i);
  });
  for (int i = 0; i < 1000; ++i) {
    captured.log().Configure(
        {i % 2 == 0 ? LogFormat::kJson : LogFormat::kKeyValue, LogLevel::kInfo, 1e5});
  }
  other.join();
  EXPECT_THAT(captured.Lines(), SizeIs(1000));
  EXPECT_THAT(captured.Lines(),
              Each(testing::AnyOf(AllOf(StartsWith("{"), EndsWith("}")), StartsWith("time="))));
}

TEST(EventLimitsTest, ABucketFillsAtItsRateAndHoldsASecondsLines) {
  EventLimits limits;
  const absl::Time start = absl::UnixEpoch();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limits.Admit("e", 4, start), 0u);
  EXPECT_EQ(limits.Admit("e", 4, start), std::nullopt);
  EXPECT_EQ(limits.Admit("e", 4, start + absl::Milliseconds(200)), std::nullopt);
  EXPECT_EQ(limits.Admit("e", 4, start + absl::Milliseconds(250)), 2u);
  int admitted = 0;
  for (int i = 0; i < 100; ++i)
    admitted += limits.Admit("e", 4, start + absl::Hours(1)).has_value();
  EXPECT_EQ(admitted, 4);
}

TEST(EventLimitsTest, LessThanALineASecondIsALineNowAndThen) {
  EventLimits limits;
  const absl::Time start = absl::UnixEpoch();
  EXPECT_EQ(limits.Admit("e", 0.1, start), 0u);
  EXPECT_EQ(limits.Admit("e", 0.1, start + absl::Seconds(9)), std::nullopt);
  EXPECT_EQ(limits.Admit("e", 0.1, start + absl::Seconds(10.5)), 1u);
}

TEST(EventLimitsTest, AClockThatIsSetBackFillsNothing) {
  EventLimits limits;
  const absl::Time start = absl::UnixEpoch() + absl::Hours(1);
  EXPECT_EQ(limits.Admit("e", 1, start), 0u);
  EXPECT_EQ(limits.Admit("e", 1, start - absl::Minutes(1)), std::nullopt);
  EXPECT_EQ(limits.Admit("e", 1, start - absl::Seconds(58)), 1u);
}

TEST(EventLimitsTest, VeryManyEventsShareABucket) {
  EventLimits limits;
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    admitted += limits.Admit(absl::StrCat("e", i), 1, absl::UnixEpoch()).has_value();
  }
  EXPECT_THAT(admitted, Le(static_cast<int>(EventLimits::kMaxEvents) + 1));
  EXPECT_EQ(limits.suppressed(), 10'000u - static_cast<unsigned>(admitted));
}

}  // namespace
}  // namespace penstock
