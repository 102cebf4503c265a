#include "cli/log/verify_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace penstock::cli {
namespace {

std::string KindsOf(const router::LogReport& report) {
  std::string text;
  for (int i = 0; i < router::kRecordKinds; ++i) {
    const uint64_t count = report.of_kind[static_cast<size_t>(i)];
    if (count == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", count, " ",
                    router::RecordKindName(static_cast<router::RecordKind>(i)));
  }
  return text;
}

}  // namespace

std::string FormatLogBreak(const router::LogBreak& broken) {
  std::string text = broken.file.empty() ? "the log" : broken.file;
  if (broken.line > 0) absl::StrAppend(&text, ":", broken.line);
  if (broken.sequence > 0) absl::StrAppend(&text, ", after record ", broken.sequence);
  return absl::StrCat(text, ": ", broken.what);
}

std::string FormatLogReport(absl::string_view folder, const router::LogReport& report) {
  std::string text = absl::StrCat(folder, "\n");
  const bool whole = !report.broken.has_value();
  if (report.records > 0) {
    absl::StrAppend(&text, "log       ", report.log, ", ", report.segments, " segments, ",
                    report.records, " records read: ", KindsOf(report), "\n");
    absl::StrAppend(&text, "chain     records ", report.first_sequence, " to ",
                    report.last_sequence, whole ? ": each has the hash of the one before" : "",
                    "\n");
    absl::StrAppend(&text, "begin     ",
                    report.first_sequence == 1
                        ? "at the log's first record\n"
                        : absl::StrCat("anchored at record ", report.first_sequence,
                                       ": older segments were removed by age or size; before it ",
                                       router::HashToHex(report.anchor), "\n"));
  }
  if (report.head.has_value() && report.records > 0 && whole) {
    const uint64_t beyond = report.last_sequence - report.head->sequence;
    absl::StrAppend(&text, "head      record ", report.head->sequence, " ",
                    router::HashToHex(report.head->hash),
                    beyond == 0 ? "" : absl::StrCat("; the log goes on for ", beyond, " records"),
                    "\n");
  }
  if (report.kept_heads > 0 && whole) {
    absl::StrAppend(&text, "kept      has all ", report.kept_heads,
                    " heads that are kept elsewhere, the last of record ", report.last_kept, "\n");
  }
  if (report.kept_before > 0) {
    absl::StrAppend(&text, "kept      ", report.kept_before,
                    " heads are of records before all that the folder holds\n");
  }
  if (whole) {
    absl::StrAppend(&text, "end       ",
                    report.stopped ? "the router stopped in order"
                                   : "not ended: its router runs, or did not stop in order");
    if (report.unfinished_bytes > 0) {
      absl::StrAppend(&text, "; ", report.unfinished_bytes, " bytes of an unfinished record");
    }
    absl::StrAppend(&text, "\n");
  }
  if (report.lost > 0) {
    absl::StrAppend(&text, "gaps      ", report.lost,
                    " records were never written, as the log itself says\n");
  }
  for (const std::string& recovered : report.recovered) {
    absl::StrAppend(&text, "recovered ", recovered, "\n");
  }
  if (!whole) absl::StrAppend(&text, "BROKEN    ", FormatLogBreak(*report.broken), "\n");
  return text;
}

std::string LogReportJson(absl::string_view folder, const router::LogReport& report) {
  nlohmann::json kinds;
  for (int i = 0; i < router::kRecordKinds; ++i) {
    kinds[std::string(router::RecordKindName(static_cast<router::RecordKind>(i)))] =
        report.of_kind[static_cast<size_t>(i)];
  }
  nlohmann::json json = {{"folder", std::string(folder)},
                         {"whole", !report.broken.has_value()},
                         {"log", report.log},
                         {"segments", report.segments},
                         {"records", report.records},
                         {"of_kind", kinds},
                         {"first_sequence", report.first_sequence},
                         {"last_sequence", report.last_sequence},
                         {"anchor", router::HashToHex(report.anchor)},
                         {"last_hash", router::HashToHex(report.last_hash)},
                         {"stopped", report.stopped},
                         {"unfinished_bytes", report.unfinished_bytes},
                         {"lost", report.lost},
                         {"recoveries", report.recoveries}};
  if (report.head.has_value()) {
    json["head"] = {{"sequence", report.head->sequence},
                    {"hash", router::HashToHex(report.head->hash)}};
  }
  if (report.kept_heads + report.kept_before > 0) {
    json["kept_heads"] = {{"held", report.kept_heads},
                          {"last_sequence", report.last_kept},
                          {"before", report.kept_before}};
  }
  if (report.broken.has_value()) {
    json["broken"] = {{"file", report.broken->file},
                      {"line", report.broken->line},
                      {"sequence", report.broken->sequence},
                      {"what", report.broken->what}};
  }
  // Folders and messages may hold anything.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace penstock::cli
