#include "common/logging/request_log.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_log.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::SizeIs;

void End(const absl::Status& status, bool decided_here = true) {
  LogRequest(
      {"gateway", "abc-1", "digits", "acme", status, absl::Milliseconds(1500), decided_here});
}

TEST(RequestLogTest, ARefusalSaysWhoseRequestWasRefusedAndWhy) {
  CapturedLog captured;
  End(absl::ResourceExhaustedError("quota spent"));
  EXPECT_THAT(captured.Lines(),
              ElementsAre(HasSubstr(
                  "level=info service=gateway event=request_refused request_id=abc-1 pool=digits "
                  "tenant=acme code=RESOURCE_EXHAUSTED reason=\"quota spent\" "
                  "latency_seconds=1.5")));
}

TEST(RequestLogTest, AFailureOfOursIsAnError) {
  CapturedLog captured({LogFormat::kKeyValue, LogLevel::kError});
  End(absl::InternalError("x"));
  End(absl::UnknownError("x"));
  EXPECT_THAT(captured.Lines(), ElementsAre(HasSubstr("level=error service=gateway "
                                                      "event=request_failed"),
                                            HasSubstr("code=UNKNOWN")));
}

TEST(RequestLogTest, CallersMistakesAndAnswersAreForDebuggers) {
  CapturedLog captured;
  End(absl::OkStatus());
  End(absl::InvalidArgumentError("rows"));
  End(absl::NotFoundError("pool"));
  EXPECT_THAT(captured.Lines(), IsEmpty());
  captured.log().Configure({LogFormat::kKeyValue, LogLevel::kDebug});
  End(absl::OkStatus());
  End(absl::InvalidArgumentError("rows"));
  EXPECT_THAT(captured.Lines(), ElementsAre(HasSubstr("level=debug service=gateway "
                                                      "event=request_answered"),
                                            HasSubstr("event=request_invalid")));
}

TEST(RequestLogTest, AnotherServicesWordIsLeftToIt) {
  CapturedLog captured;
  End(absl::InternalError("x"), /*decided_here=*/false);
  EXPECT_THAT(captured.Lines(), IsEmpty());
}

TEST(RequestLogTest, WhatIsNotKnownIsNotSaid) {
  CapturedLog captured;
  LogRequest({"gateway", "", "", "", absl::UnauthenticatedError("no key"), absl::ZeroDuration()});
  EXPECT_THAT(captured.Lines(), ElementsAre(HasSubstr("event=request_of_stranger code=UNAUTHENTICATED "
                                                      "reason=\"no key\" latency_seconds=0")));
}

TEST(RequestLogTest, HostileNamesStayValuesOfOneShortLine) {
  CapturedLog captured({LogFormat::kJson});
  const std::string hostile = "\"}\n{\"level\":\"error\"\xff" + std::string(100'000, '\n');
  LogRequest(
      {"router", hostile, hostile, hostile, absl::UnavailableError(hostile), absl::ZeroDuration()});
  ASSERT_THAT(captured.Lines(), SizeIs(1));
  EXPECT_THAT(captured.Lines()[0], SizeIs(Le(1000)));
  EXPECT_THAT(captured.Lines()[0], Not(HasSubstr("\n")));
  const auto line = nlohmann::json::parse(captured.Lines()[0]);
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("event"), "request_refused");
  EXPECT_THAT(line.at("tenant").get<std::string>(), testing::StartsWith("\"}\n{\"level\""));
}

TEST(RequestLogTest, AFloodWritesAFewLinesAndSaysHowManyItDidNot) {
  CapturedLog captured;
  for (int i = 0; i < 10'000; ++i) End(absl::ResourceExhaustedError("full"));
  EXPECT_THAT(captured.Lines(), SizeIs(20));
  captured.clock().Advance(absl::Seconds(1));
  End(absl::ResourceExhaustedError("full"));
  EXPECT_THAT(captured.Lines().back(), HasSubstr("suppressed=9980 "));
  EXPECT_EQ(captured.log().suppressed(), 9980u);
}

}  // namespace
}  // namespace penstock
