#include "cli/load/request_log.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;

class RequestLogTest : public testing::Test {
 protected:
  void SetUp() override {
    auto log = RequestLog::Create(folder_.File("requests"));
    ASSERT_THAT(log.status(), IsOk());
    log_ = *std::move(log);
  }

  std::vector<nlohmann::json> Lines() {
    EXPECT_THAT(log_->Close(), IsOk());
    std::vector<nlohmann::json> lines;
    for (const auto& line : absl::StrSplit(folder_.Read("requests"), '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }

  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  TempDir folder_;
  std::unique_ptr<RequestLog> log_;
};

TEST_F(RequestLogTest, TellsWhenWhereAndHowEveryRequestEnded) {
  log_->Add({start_, start_ + absl::Milliseconds(250), true, absl::OkStatus(), "a:1"});
  log_->AddRetry("silent", start_ + absl::Seconds(1));
  log_->Add({start_, start_, true, absl::UnavailableError("gone"), ""});
  log_->Add({start_, start_, false, absl::ResourceExhaustedError("too many"), ""});
  const std::vector<nlohmann::json> lines = Lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], nlohmann::json({{"due", 1'700'000'000.0},
                                      {"ended", 1'700'000'000.25},
                                      {"ms", 250.0},
                                      {"target", "a:1"},
                                      {"code", "OK"}}));
  EXPECT_EQ(lines[1], nlohmann::json({{"at", 1'700'000'001.0}, {"retried", "silent"}}));
  EXPECT_EQ(lines[2]["code"], "UNAVAILABLE");
  EXPECT_EQ(lines[2]["message"], "gone");
  EXPECT_EQ(lines[3]["code"], "NOT_SENT");
}

TEST_F(RequestLogTest, AMessageThatIsNoUtf8DoesNotBreakTheLine) {
  log_->Add({start_, start_, true, absl::InternalError("\xff\n\""), "a:1"});
  const std::vector<nlohmann::json> lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0]["message"].get<std::string>(), HasSubstr("\n\""));
}

TEST_F(RequestLogTest, AFileThatCannotBeWrittenIsRefused) {
  EXPECT_THAT(RequestLog::Create(folder_.File("missing/requests")).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("missing/requests")));
}

// The generator, its targets and the log together.
TEST_F(RequestLogTest, NamesTheTargetThatAnsweredLast) {
  struct NoObserver final : gateway::Forwarder::Observer {
    void Retried(absl::string_view) override {}
  } observer;
  FakeClock clock;
  FakeTimers timers(clock);
  FakeInferTarget leaving("a:1"), other("b:1");
  const auto answer = [](absl::Status status) {
    return InferReply{.status = std::move(status), .body = {}, .trailers = {}};
  };
  leaving.AnswerWith(answer(absl::UnavailableError("leaving")));
  other.AnswerWith(answer(absl::InternalError("broken")));
  NamingTarget named_leaving(leaving), named_other(other);
  gateway::Forwarder forwarder({&named_leaving, &named_other}, clock, timers, observer);
  const auto add = [this](const FinishedRequest& request) { log_->Add(request); };
  const auto run = [&] {
    LoadGenerator(forwarder, clock)
        .Run({.pool = "pool", .requests = {Bytes("request")}, .count = 1}, [](double) {}, add);
  };
  run();
  leaving.SetHealthy(false);
  other.SetHealthy(false);
  run();
  const std::vector<nlohmann::json> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["target"], "b:1");
  EXPECT_EQ(lines[0]["message"], "broken");
  EXPECT_EQ(lines[1]["target"], "");
}

}  // namespace
}  // namespace penstock::cli
