#include "common/net/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::Each;
using testing::EndsWith;
using testing::Ge;
using testing::Le;
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

// What gRPC says, as lines of the process's log.
class LibraryLogTest : public testing::Test {
 protected:
  LibraryLogTest() {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
    gpr_log_verbosity_init();  // as the first channel would
    LogForLibraries();
  }
  ~LibraryLogTest() override {
    gpr_set_log_function(nullptr);
    google::protobuf::SetLogHandler(protobuf_);
    spdlog::set_default_logger(before_);
  }

  std::vector<std::string> Lines() const {
    return absl::StrSplit(lines_.str(), '\n', absl::SkipEmpty());
  }

 private:
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  google::protobuf::LogHandler* const protobuf_ = google::protobuf::SetLogHandler(nullptr);
  std::ostringstream lines_;
};

TEST_F(LibraryLogTest, AFailedAssertionIsToldWhole) {
  const std::string why(2000, 'x');
  for (int i = 0; i < 100; ++i) gpr_log(GPR_ERROR, "assertion failed: %s", why.c_str());
  EXPECT_THAT(Lines(), SizeIs(100));
  EXPECT_THAT(Lines(), Each("critical event=grpc text=\"assertion failed: " + why + "\""));
}

TEST_F(LibraryLogTest, AStrangersWordsAreNoFailedAssertion) {
  const std::string sent = "assertion failed: " + std::string(2000, 'x');
  for (int i = 0; i < 100; ++i) gpr_log(GPR_ERROR, "invalid value '%s'", sent.c_str());
  // A period may end in between.
  EXPECT_THAT(Lines(), SizeIs(AllOf(Ge(1u), Le(20u))));
  EXPECT_THAT(Lines(), Each(AllOf(StartsWith("warning event=grpc"), SizeIs(Le(600u)))));
}

}  // namespace
}  // namespace penstock
