#include "cli/log/record_row.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace penstock::cli {
namespace {

enum Column {
  kSequence,
  kTime,
  kKind,
  kId,
  kPool,
  kTenant,
  kExperts,
  kStatus,
  kMs,
  kJoules,
  kQuality,
  kNote
};
// Of a table; negative: to the left.
constexpr int kWidths[] = {9, -30, -8, -25, -12, -12, -16, -18, 9, 10, 7, 0};

std::string Clean(absl::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  // C1 controls, U+0080 to U+009F, which terminals may act on too.
  for (size_t i = 0; i + 1 < clean.size(); ++i) {
    const auto second = static_cast<unsigned char>(clean[i + 1]);
    if (clean[i] == '\xc2' && second >= 0x80 && second < 0xa0) clean[i] = clean[i + 1] = '?';
  }
  return clean;
}

void Fill(const v1::Decision& decision, std::vector<std::string>& row) {
  row[kId] = decision.id();
  row[kPool] = decision.pool();
  row[kTenant] = decision.tenant();
  std::vector<std::string> experts;
  for (const v1::Run& run : decision.runs()) {
    if (std::find(experts.begin(), experts.end(), run.expert()) == experts.end()) {
      experts.push_back(run.expert());
    }
  }
  row[kExperts] = absl::StrJoin(experts, "+");
  row[kStatus] = decision.status();
  // A report of a decision that its router did not keep has neither.
  if (!decision.status().empty()) {
    row[kMs] = absl::StrFormat("%.1f", decision.latency_ms());
    row[kJoules] = absl::StrFormat("%.4g", decision.energy_j());
  }
  if (decision.has_reported_quality()) {
    row[kQuality] = absl::StrFormat("%.4g", decision.reported_quality());
  }
  row[kNote] = decision.degraded().empty() ? decision.reason()
                                           : absl::StrCat("degraded: ", decision.degraded());
}

void Fill(const v1::PacerEvent& event, std::vector<std::string>& row) {
  const auto* const which = event.GetReflection()->GetOneofFieldDescriptor(
      event, v1::PacerEvent::descriptor()->oneof_decl(0));
  row[kId] = absl::StrFormat("%08x", event.router());
  row[kNote] = absl::StrCat("event ", event.sequence(), which == nullptr ? "" : ": ",
                            which == nullptr ? "" : which->name());
}

void Fill(const v1::AuditRecord& audit, std::vector<std::string>& row) {
  row[kTenant] = audit.tenant();
  row[kStatus] = audit.status();
  std::string& note = row[kNote];
  note = audit.method();
  // In one order, whatever that of the map.
  std::vector<std::string> arguments;
  for (const auto& [name, value] : audit.arguments()) {
    arguments.push_back(absl::StrCat(" ", name, "=", value));
  }
  std::sort(arguments.begin(), arguments.end());
  absl::StrAppend(&note, absl::StrJoin(arguments, ""));
  if (!audit.caller().empty()) absl::StrAppend(&note, " by ", audit.caller());
  if (!audit.reason().empty()) absl::StrAppend(&note, ": ", audit.reason());
}

std::string NoteOf(const v1::LogRecord& message) {
  switch (message.record_case()) {
    case v1::LogRecord::kHeader:
      return absl::StrCat("router ", message.header().router(), ", log ", message.header().log(),
                          ", kept from record ", message.header().oldest_sequence());
    case v1::LogRecord::kClose:
      return absl::StrCat(message.close().records(), " records",
                          message.close().stopped() ? ", the router stopped" : "");
    case v1::LogRecord::kGap:
      return absl::StrCat("missing: ", message.gap().decisions(), " decisions, ",
                          message.gap().events(), " events, ", message.gap().audits(), " audits");
    case v1::LogRecord::kRecovery:
      return absl::StrCat(message.recovery().segment(), " did not end in order, ",
                          message.recovery().removed_bytes(), " bytes removed",
                          message.recovery().broken().empty() ? "" : "; ",
                          message.recovery().broken());
    case v1::LogRecord::kDecision:
    case v1::LogRecord::kEvent:
    case v1::LogRecord::kAudit:
    case v1::LogRecord::RECORD_NOT_SET:
      break;
  }
  return "";
}

}  // namespace

const std::vector<std::string>& RecordColumns() {
  static const auto& columns =
      *new std::vector<std::string>{"sequence", "time",   "kind", "id",     "pool",    "tenant",
                                    "experts",  "status", "ms",   "joules", "quality", "note"};
  return columns;
}

std::vector<std::string> RecordRow(const router::Record& record, const v1::LogRecord& message) {
  std::vector<std::string> row(RecordColumns().size());
  row[kSequence] = absl::StrCat(record.sequence);
  row[kTime] = std::string(record.time);
  row[kKind] = std::string(router::RecordKindName(record.kind));
  if (message.has_decision()) {
    Fill(message.decision(), row);
  } else if (message.has_event()) {
    Fill(message.event(), row);
  } else if (message.has_audit()) {
    Fill(message.audit(), row);
  } else {
    row[kNote] = NoteOf(message);
  }
  for (std::string& cell : row) cell = Clean(cell);
  return row;
}

std::string AlignedRow(const std::vector<std::string>& cells) {
  std::string row;
  for (size_t i = 0; i < cells.size(); ++i) {
    absl::StrAppend(&row, i == 0 ? "" : "  ", absl::StrFormat("%*s", kWidths[i], cells[i]));
  }
  row.erase(row.find_last_not_of(' ') + 1);
  return row + "\n";
}

std::string TabbedRow(const std::vector<std::string>& cells) {
  return absl::StrJoin(cells, "\t") + "\n";
}

}  // namespace penstock::cli
