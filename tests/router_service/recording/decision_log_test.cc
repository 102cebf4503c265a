#include "router_service/recording/decision_log.h"

#include <fstream>
#include <thread>

#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

constexpr uint32_t kInstance = 0xdeadbeef;

std::unique_ptr<DecisionLog> Log(uint32_t capacity, const std::string& file = "") {
  config::v1::DecisionLog config;
  config.set_capacity(capacity);
  config.set_export_file(file);
  auto log = DecisionLog::Create(config, kInstance);
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

std::vector<v1::Decision> Lines(const std::string& path) {
  std::ifstream in(path);
  std::vector<v1::Decision> decisions;
  for (std::string line; std::getline(in, line);) {
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &decisions.emplace_back()).ok())
        << line;
  }
  return decisions;
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

TEST(DecisionLogTest, RefusesACapacityOutOfRange) {
  config::v1::DecisionLog config;
  config.set_capacity(0);
  EXPECT_EQ(DecisionLog::Create(config, 1).status().code(), absl::StatusCode::kInvalidArgument);
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

TEST(DecisionLogTest, ExportsOneJsonObjectALine) {
  const TempDir folder;
  const std::string path = folder.path() + "/decisions.jsonl";
  {
    const auto log = Log(2, path);
    for (uint64_t i = 1; i <= 3; ++i) log->Append(Decision(*log, i));
    ASSERT_TRUE(log->Report(log->IdOf(3).ToString(), 1).ok());
  }
  const auto lines = Lines(path);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].id(), "deadbeef-0000000000000001");
  EXPECT_EQ(lines[3].id(), lines[2].id());
  EXPECT_EQ(lines[3].reported_quality(), 1);
}

TEST(DecisionLogTest, AnExistingFileIsAppendedTo) {
  const TempDir folder;
  const std::string path = folder.path() + "/decisions.jsonl";
  for (uint64_t i = 0; i < 2; ++i) {
    const auto log = Log(2, path);
    log->Append(Decision(*log, i));
  }
  EXPECT_EQ(Lines(path).size(), 2u);
}

TEST(DecisionLogTest, AFileThatCannotBeOpenedStopsStartUp) {
  config::v1::DecisionLog config;
  config.set_export_file("/nonexistent/folder/file");
  EXPECT_EQ(DecisionLog::Create(config, 1).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(DecisionExportTest, DropsAndCountsWhatDoesNotFitItsQueue) {
  const TempDir folder;
  const std::string path = folder.path() + "/decisions.jsonl";
  uint64_t dropped = 0;
  {
    auto file = DecisionExport::Open(path, /*queue=*/0);
    ASSERT_TRUE(file.ok());
    for (int i = 0; i < 5; ++i) (*file)->Append(std::make_shared<v1::Decision>());
    dropped = (*file)->dropped();
  }
  EXPECT_EQ(dropped, 5u);
  EXPECT_TRUE(Lines(path).empty());
}

TEST(DecisionLogTest, ManyThreadsAppendReportAndWatch) {
  const TempDir folder;
  const std::string path = folder.path() + "/decisions.jsonl";
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
  EXPECT_GE(Lines(path).size(), 4u * 204);
}

}  // namespace
}  // namespace penstock::router
