#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "router_service/recording/chain/record_hash.h"

namespace penstock::router {

// The lines of a decision log, read without a JSON parser: what a line is stands at fixed places,
// so that no two texts are the same line.

// The fields of v1.LogRecord, in its order.
enum class RecordKind { kHeader, kClose, kGap, kRecovery, kDecision, kEvent, kAudit };
inline constexpr int kRecordKinds = 7;
// The field's name.
absl::string_view RecordKindName(RecordKind kind);
// False for no field's name.
bool RecordKindOf(absl::string_view name, RecordKind& kind);

// No line of a log is longer.
inline constexpr size_t kLongestRecordLine = size_t{16} << 20;

struct Record {
  uint64_t sequence = 0;
  absl::string_view time;  // RFC 3339
  RecordKind kind = RecordKind::kHeader;
  absl::string_view content;  // the message of that kind as JSON
};

// A v1.LogRecord as JSON. `content` is an object on one line.
void AppendRecord(uint64_t sequence, absl::Time time, RecordKind kind, absl::string_view content,
                  std::string& to);
// INVALID_ARGUMENT says what does not fit. `record` outlives what comes back.
absl::StatusOr<Record> ParseRecord(absl::string_view record);

struct RecordLine {
  RecordHash previous;
  RecordHash hash;
  absl::string_view record;
};

// With the newline.
void AppendRecordLine(const RecordHash& previous, const RecordHash& hash, absl::string_view record,
                      std::string& to);
// `line` is without its newline, and outlives what comes back. Whether the hash is the record's is
// not checked.
absl::StatusOr<RecordLine> ParseRecordLine(absl::string_view line);

}  // namespace penstock::router
