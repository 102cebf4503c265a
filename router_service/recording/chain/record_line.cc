#include "router_service/recording/chain/record_line.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace penstock::router {
namespace {

constexpr absl::string_view kKindNames[kRecordKinds] = {"header",   "close", "gap",  "recovery",
                                                        "decision", "event", "audit"};
constexpr absl::string_view kPrevious = "{\"prev_hash\":\"";
constexpr absl::string_view kHash = "\",\"hash\":\"";
constexpr absl::string_view kRecord = "\",\"record\":";
constexpr absl::string_view kEnd = "}";
constexpr absl::string_view kSequence = "{\"sequence\":\"";
constexpr absl::string_view kTime = "\",\"time\":\"";
constexpr absl::string_view kKind = "\",\"";
constexpr absl::string_view kContent = "\":";
constexpr size_t kHexDigits = 64;
constexpr size_t kLongestTime = 40;

absl::Status Unlike(absl::string_view part) {
  return absl::InvalidArgumentError(absl::StrCat("no record: its ", part, " is malformed"));
}

// Takes what stands before `end` off the front, `end` too.
bool TakeUntil(absl::string_view end, absl::string_view& text, absl::string_view& taken) {
  const size_t at = text.find(end);
  if (at == absl::string_view::npos) return false;
  taken = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return true;
}

// As protobuf writes a uint64: no sign, no leading zero.
bool ReadSequence(absl::string_view digits, uint64_t& sequence) {
  return absl::SimpleAtoi(digits, &sequence) && absl::StrCat(sequence) == digits;
}

bool IsTime(absl::string_view text) {
  if (text.empty() || text.size() > kLongestTime) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || c == '-' || c == ':' || c == '.' || c == 'T' || c == 'Z')) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::string_view RecordKindName(RecordKind kind) { return kKindNames[static_cast<int>(kind)]; }

bool RecordKindOf(absl::string_view name, RecordKind& kind) {
  for (int i = 0; i < kRecordKinds; ++i) {
    if (kKindNames[i] != name) continue;
    kind = static_cast<RecordKind>(i);
    return true;
  }
  return false;
}

void AppendRecord(uint64_t sequence, absl::Time time, RecordKind kind, absl::string_view content,
                  std::string& to) {
  absl::StrAppend(&to, kSequence, sequence, kTime,
                  absl::FormatTime("%E4Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone()), kKind,
                  RecordKindName(kind), kContent, content, kEnd);
}

absl::StatusOr<Record> ParseRecord(absl::string_view text) {
  Record record;
  absl::string_view digits, kind;
  if (!absl::ConsumePrefix(&text, kSequence) || !TakeUntil(kTime, text, digits) ||
      !ReadSequence(digits, record.sequence)) {
    return Unlike("sequence");
  }
  if (!TakeUntil(kKind, text, record.time) || !IsTime(record.time)) return Unlike("time");
  if (!TakeUntil(kContent, text, kind) || !RecordKindOf(kind, record.kind)) return Unlike("kind");
  if (!absl::ConsumeSuffix(&text, kEnd) || text.size() < 2 || text.front() != '{' ||
      text.back() != '}') {
    return Unlike("content");
  }
  record.content = text;
  return record;
}

void AppendRecordLine(const RecordHash& previous, const RecordHash& hash, absl::string_view record,
                      std::string& to) {
  absl::StrAppend(&to, kPrevious, HashToHex(previous), kHash, HashToHex(hash), kRecord);
  absl::StrAppend(&to, record, kEnd, "\n");
}

absl::StatusOr<RecordLine> ParseRecordLine(absl::string_view line) {
  RecordLine parsed;
  if (!absl::ConsumePrefix(&line, kPrevious) ||
      !HashFromHex(line.substr(0, kHexDigits), parsed.previous)) {
    return Unlike("prev_hash");
  }
  line.remove_prefix(kHexDigits);
  if (!absl::ConsumePrefix(&line, kHash) || !HashFromHex(line.substr(0, kHexDigits), parsed.hash)) {
    return Unlike("hash");
  }
  line.remove_prefix(kHexDigits);
  if (!absl::ConsumePrefix(&line, kRecord) || !absl::ConsumeSuffix(&line, kEnd)) {
    return Unlike("frame");
  }
  parsed.record = line;
  return parsed;
}

}  // namespace penstock::router
