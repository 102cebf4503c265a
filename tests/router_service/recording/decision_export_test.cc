#include "router_service/recording/decision_export.h"

#include <fstream>

#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

std::shared_ptr<v1::PacerEvent> Event(uint64_t sequence) {
  auto event = std::make_shared<v1::PacerEvent>();
  event->set_sequence(sequence);
  event->mutable_settle()->set_energy_j(0.1 * static_cast<double>(sequence));
  return event;
}

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(DecisionExportEventsTest, StandBetweenDecisionsInTheirOrderAndHaveAnEnd) {
  const TempDir dir;
  {
    auto file = DecisionExport::Open(dir.File("log"), 100, /*router=*/7);
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->Record(Event(1));
    auto decision = std::make_shared<v1::Decision>();
    decision->set_id("00000007-0000000000000001");
    (*file)->Append(decision);
    (*file)->Record(Event(2));
  }
  const std::vector<std::string> lines = Lines(dir.File("log"));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_FALSE(IsEventLine(lines[1]));
  for (const size_t i : {0, 2, 3}) {
    EXPECT_TRUE(IsEventLine(lines[i])) << lines[i];
    v1::PacerEvent event;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(lines[i], &event).ok()) << lines[i];
    EXPECT_EQ(event.router(), 7u);
    EXPECT_EQ(event.sequence(), i == 0 ? 1u : i);
    EXPECT_EQ(event.has_end(), i == 3);
    const double joules = i == 3 ? 0 : 0.1 * static_cast<double>(event.sequence());
    EXPECT_EQ(event.settle().energy_j(), joules);
  }
}

TEST(DecisionExportEventsTest, WhatDoesNotFitTheQueueIsCountedAndTheEndTellsIt) {
  const TempDir dir;
  uint64_t dropped = 0;
  {
    auto file = DecisionExport::Open(dir.File("log"), /*queue=*/0, /*router=*/7);
    ASSERT_TRUE(file.ok()) << file.status();
    for (uint64_t i = 1; i <= 5; ++i) (*file)->Record(Event(i));
    dropped = (*file)->dropped();
  }
  EXPECT_EQ(dropped, 5u);
  const std::vector<std::string> lines = Lines(dir.File("log"));
  ASSERT_EQ(lines.size(), 1u);
  v1::PacerEvent end;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(lines[0], &end).ok());
  EXPECT_EQ(end.sequence(), 6u);
  EXPECT_EQ(end.end().lost(), 5u);
}

TEST(DecisionExportEventsTest, OfNoEventsHasNoEnd) {
  const TempDir dir;
  { ASSERT_TRUE(DecisionExport::Open(dir.File("log"), 10, 7).ok()); }
  EXPECT_TRUE(Lines(dir.File("log")).empty());
}

}  // namespace
}  // namespace penstock::router
