#include "cli/log/record_filter.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/json_util.h"

namespace penstock::cli {
namespace {

using router::Record;
using router::RecordKind;

bool Ran(const v1::Decision& decision, absl::string_view expert) {
  return std::any_of(decision.runs().begin(), decision.runs().end(),
                     [&](const v1::Run& run) { return run.expert() == expert; });
}

google::protobuf::Message& MessageOf(RecordKind kind, v1::LogRecord& record) {
  switch (kind) {
    case RecordKind::kHeader:
      return *record.mutable_header();
    case RecordKind::kClose:
      return *record.mutable_close();
    case RecordKind::kGap:
      return *record.mutable_gap();
    case RecordKind::kRecovery:
      return *record.mutable_recovery();
    case RecordKind::kDecision:
      return *record.mutable_decision();
    case RecordKind::kEvent:
      return *record.mutable_event();
    case RecordKind::kAudit:
      break;
  }
  return *record.mutable_audit();
}

}  // namespace

bool RecordFilter::MayWant(const Record& record) const {
  if (record.sequence < first || record.sequence > last) return false;
  if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), record.kind) == kinds.end()) {
    return false;
  }
  const bool decision = record.kind == RecordKind::kDecision;
  if ((!pool.empty() || !expert.empty()) && !decision) return false;
  if (!tenant.empty() && !decision && record.kind != RecordKind::kAudit) return false;
  if (since == absl::InfinitePast() && until == absl::InfiniteFuture()) return true;
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, record.time, &time, nullptr) && time >= since &&
         time < until;
}

bool RecordFilter::Wants(const v1::LogRecord& record) const {
  if (record.has_decision()) {
    const v1::Decision& decision = record.decision();
    return (pool.empty() || decision.pool() == pool) &&
           (tenant.empty() || decision.tenant() == tenant) &&
           (expert.empty() || Ran(decision, expert));
  }
  return tenant.empty() || (record.has_audit() && record.audit().tenant() == tenant);
}

absl::StatusOr<absl::Time> ParseWhen(absl::string_view option, absl::string_view text,
                                     absl::Time now) {
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return time;
  if (absl::Duration ago; absl::ParseDuration(text, &ago) && ago >= absl::ZeroDuration()) {
    return now - ago;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      option, " is \"", text, "\", wanted 2026-11-30T08:00:00Z, or 90m for so long ago"));
}

absl::Status ParseSequences(absl::string_view text, RecordFilter& filter) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (absl::SimpleAtoi(ends.first, &filter.first)) {
    filter.last = filter.first;
    if (ends.second.empty() && text.find('-') == absl::string_view::npos) return absl::OkStatus();
    if (absl::SimpleAtoi(ends.second, &filter.last) && filter.last >= filter.first) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--sequence is \"", text, "\", wanted N, or FIRST-LAST"));
}

absl::Status ParseKinds(const std::vector<std::string>& names, RecordFilter& filter) {
  for (const std::string& name : names) {
    if (!router::RecordKindOf(name, filter.kinds.emplace_back())) {
      std::vector<absl::string_view> known;
      for (int i = 0; i < router::kRecordKinds; ++i) {
        known.push_back(router::RecordKindName(static_cast<RecordKind>(i)));
      }
      return absl::InvalidArgumentError(
          absl::StrCat("--kind has \"", name, "\", wanted some of ", absl::StrJoin(known, ",")));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::LogRecord> ParseMessage(const Record& record) {
  v1::LogRecord message;
  message.set_sequence(record.sequence);
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a later version
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(record.content.data(), record.content.size()),
      &MessageOf(record.kind, message), options);
  if (parsed.ok()) return message;
  return absl::InvalidArgumentError(absl::StrCat("record ", record.sequence, ": no ",
                                                 router::RecordKindName(record.kind), " as JSON"));
}

}  // namespace penstock::cli
