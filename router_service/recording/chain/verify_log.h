#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/recording/chain/log_head.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::router {

// Where a log is not as a router wrote it.
struct LogBreak {
  std::string file;       // of the folder; empty: of no one file
  uint64_t line = 0;      // 0: of no one line
  uint64_t sequence = 0;  // of the last record before it; 0: none
  std::string what;
};

struct LogReport {
  std::string log;  // id
  uint64_t segments = 0;
  uint64_t records = 0;
  std::array<uint64_t, kRecordKinds> of_kind{};
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  RecordHash anchor{};  // what the first record says that is before it
  RecordHash last_hash{};
  std::optional<LogHead> head;  // that it was compared with
  // Of the heads that are kept elsewhere, those that the log must hold and the last of them, and
  // those of records before all that it holds.
  uint64_t kept_heads = 0;
  uint64_t last_kept = 0;
  uint64_t kept_before = 0;
  bool stopped = false;         // its router ended it in order
  uint64_t unfinished_bytes = 0;  // after the last record, none of which is missing
  // What the records themselves tell is missing.
  uint64_t lost = 0;        // records that were never written
  uint64_t recoveries = 0;  // starts after an end out of order
  std::vector<std::string> recovered;  // the first few, for people
  std::optional<LogBreak> broken;  // the first one
};

// Reads a log's folder from end to end. `head`: one that was kept elsewhere, instead of the
// folder's own. `kept`: of the log, and read before this is called; the log must hold each of them,
// beside the head. NOT_FOUND: no such folder. INVALID_ARGUMENT: nothing of a log is in it.
absl::StatusOr<LogReport> VerifyLog(const std::string& folder,
                                    const std::optional<LogHead>& head = std::nullopt,
                                    absl::Span<const LogHead> kept = {});
// The id that the folder's oldest header tells; the folder may be broken elsewhere. Errors as
// VerifyLog, and DATA_LOSS.
absl::StatusOr<std::string> ReadLogId(const std::string& folder);

}  // namespace penstock::router
