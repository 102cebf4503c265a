#pragma once

#include <string>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/log_reader.h"

namespace penstock::router {

// The records of a log's folder, whose chain must hold, as they stand in it.
inline std::vector<v1::LogRecord> RecordsIn(const std::string& folder) {
  std::vector<v1::LogRecord> records;
  const auto reader = LogReader::Open(folder);
  EXPECT_TRUE(reader.ok()) << reader.status();
  if (!reader.ok()) return records;
  Record record;
  for (;;) {
    const auto more = (*reader)->Next(record);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) return records;
    const auto line = ParseRecordLine((*reader)->line());
    EXPECT_TRUE(line.ok()) << line.status();
    if (!line.ok()) return records;
    const auto parsed = google::protobuf::util::JsonStringToMessage(std::string(line->record),
                                                                    &records.emplace_back());
    EXPECT_TRUE(parsed.ok()) << line->record;
  }
}

// Its decisions and events as `penstock log export` has them.
inline std::vector<std::string> LinesIn(const std::string& folder) {
  std::vector<std::string> lines;
  const auto reader = LogReader::Open(folder);
  EXPECT_TRUE(reader.ok()) << reader.status();
  if (!reader.ok()) return lines;
  Record record;
  for (;;) {
    const auto more = (*reader)->Next(record);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) return lines;
    if (record.kind == RecordKind::kDecision || record.kind == RecordKind::kEvent) {
      lines.emplace_back(record.content);
    }
  }
}

// Its decisions, reports included.
inline std::vector<v1::Decision> DecisionsIn(const std::string& folder) {
  std::vector<v1::Decision> decisions;
  for (v1::LogRecord& record : RecordsIn(folder)) {
    if (record.has_decision()) decisions.push_back(std::move(*record.mutable_decision()));
  }
  return decisions;
}

}  // namespace penstock::router
