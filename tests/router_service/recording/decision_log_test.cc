#include "router_service/recording/decision_log.h"

#include <functional>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/router_service/recording/logged_lines.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

constexpr uint32_t kInstance = 0xdeadbeef;

std::unique_ptr<DecisionLog> Log(uint32_t capacity, const std::string& folder = "") {
  static const FakeClock clock;
  config::v1::DecisionLog config;
  config.set_capacity(capacity);
  config.set_directory(folder);
  auto log = DecisionLog::Create(config, kInstance, clock);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

SharedDecision Decision(const DecisionLog& log, uint64_t sequence, const std::string& pool = "p") {
  auto decision = std::make_shared<v1::Decision>();
  decision->set_id(log.IdOf(sequence).ToString());
  decision->set_pool(pool);
  decision->set_tenant("acme");
  return decision;
}

TEST(DecisionIdTest, IsEightHexDigitsAndSixteen) {
  const DecisionId id{0x1a, 0x2b3c};
  EXPECT_EQ(id.ToString(), "0000001a-0000000000002b3c");
  EXPECT_EQ(*DecisionId::Parse(id.ToString()), id);
}

TEST(DecisionIdTest, RefusesEverythingElse) {
  for (const char* text : {"", "0000001a", "0000001a-2b3c", "0000001A-0000000000002b3c",
                           "0000001a_0000000000002b3c", "0000001a-0000000000002b3c0"}) {
    EXPECT_EQ(DecisionId::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DecisionLogTest, FindsByIdAndForgetsTheOldest) {
  const auto log = Log(3);
  for (uint64_t i = 1; i <= 5; ++i) log->Append(Decision(*log, i));
  EXPECT_EQ(log->Find(log->IdOf(2).ToString()).status().code(), absl::StatusCode::kNotFound);
  for (uint64_t i = 3; i <= 5; ++i) EXPECT_TRUE(log->Find(log->IdOf(i).ToString()).ok()) << i;
  const auto recent = log->Recent(2, "");
  ASSERT_EQ(recent.size(), 2u);
  EXPECT_EQ(recent[0]->id(), log->IdOf(5).ToString());
  EXPECT_EQ(recent[1]->id(), log->IdOf(4).ToString());
}

TEST(DecisionLogTest, RecentIsOfOnePoolWhereAsked) {
  const auto log = Log(10);
  log->Append(Decision(*log, 1, "a"));
  log->Append(Decision(*log, 2, "b"));
  log->Append(Decision(*log, 3, "a"));
  EXPECT_EQ(log->Recent(10, "a").size(), 2u);
  EXPECT_EQ(log->Recent(10, "").size(), 3u);
}

TEST(DecisionLogTest, AnotherRoutersDecisionIsNotFound) {
  const auto log = Log(3);
  log->Append(Decision(*log, 1));
  EXPECT_EQ(log->Find(DecisionId{1, 1}.ToString()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(log->Find("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DecisionLogTest, AttachesTheReportedQuality) {
  const auto log = Log(3);
  log->Append(Decision(*log, 1));
  const std::string id = log->IdOf(1).ToString();
  EXPECT_EQ(log->Report(id, 1.5).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(log->Report(id, 0.5, "zenith").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE((*log->Find(id))->has_reported_quality());
  EXPECT_TRUE(log->Report(id, 0.5, "acme").ok());
  EXPECT_EQ((*log->Find(id))->reported_quality(), 0.5);
  EXPECT_EQ(log->Report(log->IdOf(9).ToString(), 0.5).code(), absl::StatusCode::kNotFound);
}

TEST(DecisionLogTest, RefusesWhatIsOutOfRangeAndNamesIt) {
  using testing::HasSubstr;
  struct Case {
    const char* field;
    std::function<void(config::v1::DecisionLog&)> set;
  };
  const Case cases[] = {
      {"capacity", [](auto& config) { config.set_capacity(0); }},
      {"max_bytes", [](auto& config) { config.set_max_bytes(1000); }},
      {"segment_bytes", [](auto& config) { config.set_segment_bytes(1000); }},
      {"segment_bytes",
       [](auto& config) {
         config.set_max_bytes(1 << 20);
         config.set_segment_bytes(1 << 20);
       }},
      {"max_age", [](auto& config) { config.mutable_max_age()->set_seconds(59); }},
      {"fsync_interval", [](auto& config) { config.mutable_fsync_interval()->set_seconds(11); }},
      {"queue_bytes", [](auto& config) { config.set_queue_bytes(1); }},
      {"features", [](auto& config) { config.set_features(true); }},
  };
  for (const Case& wrong : cases) {
    config::v1::DecisionLog config;
    wrong.set(config);
    const absl::Status status = DecisionLog::Validate(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong.field;
    EXPECT_THAT(status.message(), HasSubstr(absl::StrCat("decision_log.", wrong.field)));
  }
  config::v1::DecisionLog smallest;
  smallest.set_max_bytes(1 << 20);
  EXPECT_TRUE(DecisionLog::Validate(smallest).ok());
}

TEST(DecisionLogTest, WatchersGetWhatComesInOrder) {
  const auto log = Log(3);
  log->Append(Decision(*log, 1));
  int ready = 0;
  const auto watch = log->Watch("a", [&] { ++ready; });
  log->Append(Decision(*log, 2, "a"));
  log->Append(Decision(*log, 3, "b"));
  log->Append(Decision(*log, 4, "a"));
  EXPECT_EQ(ready, 1);  // the queue was not empty at the second
  EXPECT_EQ(watch->TryNext()->id(), log->IdOf(2).ToString());
  EXPECT_EQ(watch->TryNext()->id(), log->IdOf(4).ToString());
  EXPECT_EQ(watch->TryNext(), nullptr);
  log->Append(Decision(*log, 5, "a"));
  EXPECT_EQ(ready, 2);
}

TEST(DecisionLogTest, ASlowWatcherLosesDecisionsAndLearnsHowMany) {
  const auto log = Log(1000);
  const auto watch = log->Watch("", [] {});
  for (uint64_t i = 0; i < DecisionWatch::kQueue + 7; ++i) log->Append(Decision(*log, i));
  EXPECT_EQ(watch->dropped(), 7u);
  size_t waiting = 0;
  while (watch->TryNext() != nullptr) ++waiting;
  EXPECT_EQ(waiting, DecisionWatch::kQueue);
}

TEST(DecisionLogTest, AClosedOrDroppedWatcherGetsNothing) {
  const auto log = Log(10);
  int ready = 0;
  const auto closed = log->Watch("", [&] { ++ready; });
  auto dropped = log->Watch("", [&] { ++ready; });
  closed->Close();
  dropped.reset();
  log->Append(Decision(*log, 1));
  EXPECT_EQ(ready, 0);
  EXPECT_EQ(closed->TryNext(), nullptr);
}

TEST(DecisionLogTest, ItsFolderHasEveryDecisionAndReport) {
  const TempDir folder;
  const std::string path = folder.File("log");
  {
    const auto log = Log(2, path);
    for (uint64_t i = 1; i <= 3; ++i) log->Append(Decision(*log, i));
    ASSERT_TRUE(log->Report(log->IdOf(3).ToString(), 1).ok());
  }
  const auto logged = DecisionsIn(path);
  ASSERT_EQ(logged.size(), 4u);
  EXPECT_EQ(logged[0].id(), "deadbeef-0000000000000001");
  EXPECT_EQ(logged[3].id(), logged[2].id());
  EXPECT_EQ(logged[3].reported_quality(), 1);
}

TEST(DecisionLogTest, AFolderThatExistsIsContinued) {
  const TempDir folder;
  const std::string path = folder.File("log");
  for (uint64_t i = 0; i < 2; ++i) {
    const auto log = Log(2, path);
    log->Append(Decision(*log, i));
  }
  EXPECT_EQ(DecisionsIn(path).size(), 2u);
}

TEST(DecisionLogTest, AFolderThatCannotBeWrittenStopsStartUp) {
  const FakeClock clock;
  config::v1::DecisionLog config;
  config.set_directory("/nonexistent/folder");
  const auto log = DecisionLog::Create(config, 1, clock);
  EXPECT_EQ(log.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(log.status().message(), testing::HasSubstr("decision_log.directory"));
}

TEST(DecisionLogTest, AnAuditStandsBetweenDecisionsWithItsTime) {
  const TempDir folder;
  const std::string path = folder.File("log");
  {
    const auto log = Log(2, path);
    log->Append(Decision(*log, 1));
    v1::AuditRecord audit;
    audit.set_tenant("acme");
    audit.set_method("SetBudget");
    (*audit.mutable_arguments())["amount"] = "5 J";
    audit.set_status("OK");
    log->AppendAudit(std::move(audit));
    log->Append(Decision(*log, 2));
  }
  const std::vector<v1::LogRecord> records = RecordsIn(path);
  ASSERT_EQ(records.size(), 5u);  // with header and close
  ASSERT_TRUE(records[2].has_audit());
  EXPECT_EQ(records[2].audit().tenant(), "acme");
  EXPECT_EQ(records[2].audit().arguments().at("amount"), "5 J");
  EXPECT_EQ(records[2].audit().time().seconds(), 1'000'000);
  EXPECT_TRUE(records[4].close().stopped());
}

TEST(DecisionLogTest, WithoutAFolderAnAuditIsNotKept) {
  const auto log = Log(2);
  log->AppendAudit({});
  EXPECT_FALSE(log->folder_state().has_value());
}

TEST(DecisionLogTest, ManyThreadsAppendReportAndWatch) {
  const TempDir folder;
  const std::string path = folder.File("log");
  {
    const auto log = Log(64, path);
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (uint64_t i = 0; i < 200; ++i) {
          const auto decision = Decision(*log, t * 1000 + i);
          log->Append(decision);
          if (i % 10 == 0) (void)log->Report(decision->id(), 1);
          if (i % 50 == 0) {
            const auto watch = log->Watch("", [] {});
            log->Append(Decision(*log, t * 1000 + 500 + i));
            watch->Close();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log->Recent(1000, "").size(), 64u);
  }
  EXPECT_GE(DecisionsIn(path).size(), 4u * 204);
}

}  // namespace
}  // namespace penstock::router
