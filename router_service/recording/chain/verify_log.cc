#include "router_service/recording/chain/verify_log.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/log_reader.h"

namespace penstock::router {
namespace {

constexpr size_t kShownRecoveries = 5;

template <typename Message>
Message Parse(const Record& record) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  Message message;
  // One that cannot be parsed says nothing: its hash was right, so a router wrote it so.
  (void)google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(record.content.data(), record.content.size()), &message,
      options);
  return message;
}

// Takes in what a record tells of others. What its recovery tells is broken.
std::string Tell(const Record& record, LogReport& report) {
  ++report.records;
  ++report.of_kind[static_cast<size_t>(record.kind)];
  if (record.kind == RecordKind::kGap) {
    const auto gap = Parse<v1::LogGap>(record);
    report.lost += gap.decisions() + gap.events() + gap.audits();
  } else if (record.kind == RecordKind::kRecovery) {
    ++report.recoveries;
    const auto recovery = Parse<v1::LogRecovery>(record);
    if (report.recovered.size() >= kShownRecoveries) return recovery.broken();
    std::string told = absl::StrCat("record ", record.sequence, ": ", recovery.segment(),
                                    " did not end in order");
    if (recovery.removed_bytes() > 0) {
      absl::StrAppend(&told, ", ", recovery.removed_bytes(),
                      " bytes of an unfinished record were removed");
    }
    if (!recovery.broken().empty()) absl::StrAppend(&told, "; ", recovery.broken());
    report.recovered.push_back(std::move(told));
    return recovery.broken();
  }
  return "";
}

// Bytes after the last record, where none of them was promised by the folder's own head nor by the
// one that the log is compared with; nothing: they are in place of records. When the power goes,
// the last segment's blocks may come to the disk in any order, and what is left of its tail is then
// not one line alone.
absl::StatusOr<std::optional<uint64_t>> Unpromised(const std::string& folder,
                                                   const LogReader& reader, const LogReport& report,
                                                   const std::optional<LogHead>& own,
                                                   absl::Span<const LogHead> kept) {
  const ChainFollower& chain = reader.chain();
  const auto behind = [&](const std::optional<LogHead>& head) {
    return head.has_value() && head->log == chain.log() && head->sequence <= chain.sequence();
  };
  if (!behind(report.head) || !behind(own) || !std::all_of(kept.begin(), kept.end(), behind) ||
      chain.segment_records() == 0 || chain.closed()) {
    return std::nullopt;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SegmentFile> segments, ListSegments(folder));
  if (segments.empty() || segments.back().name != reader.file()) return std::nullopt;
  std::error_code error;
  const auto bytes = std::filesystem::file_size(absl::StrCat(folder, "/", reader.file()), error);
  if (error || bytes < reader.taken_bytes()) return std::nullopt;
  return std::optional<uint64_t>(bytes - reader.taken_bytes());
}

// Reads on to the first break; false where there is one. `own`: the folder's head. `told`: the
// first break that a restart found.
absl::StatusOr<bool> ReadAll(const std::string& folder, const std::optional<LogHead>& own,
                             absl::Span<const LogHead> kept, LogReader& reader, LogReport& report,
                             std::optional<LogBreak>& told) {
  const ChainFollower& chain = reader.chain();
  Record record;
  for (;;) {
    const absl::StatusOr<bool> more = reader.Next(record);
    report.segments = reader.segments();
    if (absl::IsDataLoss(more.status())) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::optional<uint64_t> unpromised,
                                Unpromised(folder, reader, report, own, kept));
      if (unpromised.has_value()) {
        report.unfinished_bytes = *unpromised;
        return true;
      }
      // "folder/file:line: what"
      const std::string message(more.status().message());
      const std::string where = absl::StrCat(reader.where(), ": ");
      report.broken = LogBreak{.file = reader.file(),
                               .line = reader.line_number(),
                               .sequence = chain.sequence(),
                               .what = message.substr(where.size())};
      return false;
    }
    PENSTOCK_RETURN_IF_ERROR(more.status());
    if (!*more) {
      report.unfinished_bytes = reader.unfinished();
      return true;
    }
    const std::string broken = Tell(record, report);
    if (!broken.empty() && !told.has_value()) {
      told = LogBreak{.file = reader.file(),
                      .line = reader.line_number(),
                      .sequence = record.sequence - 1,
                      .what = absl::StrCat("a restart found this: ", broken)};
    }
    const auto is_another = [&](const LogHead& head) {
      return head.sequence == record.sequence && head.hash != chain.hash();
    };
    const bool by_head = report.head.has_value() && is_another(*report.head);
    const bool by_kept = std::any_of(kept.begin(), kept.end(), [&](const LogHead& head) {
      return head.log == chain.log() && is_another(head);
    });
    if (by_head || by_kept) {
      report.broken = LogBreak{
          .file = reader.file(),
          .line = reader.line_number(),
          .sequence = record.sequence,
          .what = by_head ? "is not the record that the head has the hash of"
                          : "is not the record that a head kept elsewhere has the hash of"};
      return false;
    }
  }
}

// What only the whole log shows.
std::optional<LogBreak> CheckEnds(const LogReader& reader, const LogReport& report) {
  const ChainFollower& chain = reader.chain();
  const auto broken = [&](std::string file, std::string what) {
    return LogBreak{.file = std::move(file), .sequence = chain.sequence(), .what = std::move(what)};
  };
  if (chain.log().empty()) return broken("", "holds no record");
  if (chain.first_sequence() > chain.oldest_sequence()) {
    return broken(SegmentName(chain.oldest_sequence()),
                  absl::StrCat("is missing: the log is kept from record ", chain.oldest_sequence(),
                               " on by its last header, but begins with ", chain.first_sequence()));
  }
  if (!report.head.has_value()) {
    return broken(kLogHeadFile, "is missing: whether the log's tail was cut cannot be said");
  }
  if (report.head->log != chain.log()) {
    return broken(kLogHeadFile, absl::StrCat("is of log ", report.head->log,
                                             ", the segments are of log ", chain.log()));
  }
  if (report.head->sequence > chain.sequence()) {
    return broken(reader.file(), absl::StrCat("ends with record ", chain.sequence(),
                                              ", but the log's head says that record ",
                                              report.head->sequence, " was on the disk"));
  }
  if (report.head->sequence < chain.first_sequence()) {
    return broken(kLogHeadFile, absl::StrCat("is of record ", report.head->sequence,
                                             ", before all that are kept"));
  }
  if (chain.stopped() && report.unfinished_bytes > 0) {
    return broken(reader.file(), absl::StrCat("has ", report.unfinished_bytes,
                                              " bytes after the record with which it was ended"));
  }
  return std::nullopt;
}

// Of the heads that are kept elsewhere, what only the whole log shows.
std::optional<LogBreak> CheckKept(const LogReader& reader, absl::Span<const LogHead> kept,
                                  LogReport& report) {
  const ChainFollower& chain = reader.chain();
  for (const LogHead& head : kept) {
    if (head.log != chain.log()) {
      return LogBreak{.file = "",
                      .sequence = chain.sequence(),
                      .what = absl::StrCat("is log ", chain.log(), ", the heads are of log ",
                                           head.log)};
    }
    if (head.sequence < chain.first_sequence()) {
      ++report.kept_before;
      continue;
    }
    ++report.kept_heads;
    report.last_kept = std::max(report.last_kept, head.sequence);
  }
  if (report.last_kept <= chain.sequence()) return std::nullopt;
  return LogBreak{.file = reader.file(),
                  .sequence = chain.sequence(),
                  .what = absl::StrCat("was cut after record ", chain.sequence(),
                                       ": by a head that is kept elsewhere record ",
                                       report.last_kept, " was on the disk")};
}

}  // namespace

absl::StatusOr<std::string> ReadLogId(const std::string& folder) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LogReader> reader, LogReader::Open(folder));
  Record record;
  PENSTOCK_RETURN_IF_ERROR(reader->Next(record).status());
  if (!reader->chain().log().empty()) return reader->chain().log();
  return absl::DataLossError(absl::StrCat(folder, ": holds no record"));
}

absl::StatusOr<LogReport> VerifyLog(const std::string& folder, const std::optional<LogHead>& head,
                                    absl::Span<const LogHead> kept) {
  LogReport report;
  report.head = head;
  // Read before the segments: a router that writes meanwhile only gets further.
  const auto read = ReadLogHead(absl::StrCat(folder, "/", kLogHeadFile));
  const std::optional<LogHead> own = read.ok() ? *read : std::nullopt;
  absl::Status bad_head;
  if (!report.head.has_value()) {
    report.head = own;
    bad_head = read.status();
  }
  auto reader = LogReader::Open(folder);
  if (absl::IsInvalidArgument(reader.status()) && (report.head.has_value() || !bad_head.ok())) {
    report.broken = LogBreak{.file = "", .what = "has a head, but no segment"};
    return report;
  }
  PENSTOCK_RETURN_IF_ERROR(reader.status());
  const ChainFollower& chain = (*reader)->chain();
  std::optional<LogBreak> told;
  PENSTOCK_ASSIGN_OR_RETURN(const bool whole, ReadAll(folder, own, kept, **reader, report, told));
  report.log = chain.log();
  report.first_sequence = chain.first_sequence();
  report.last_sequence = chain.sequence();
  report.anchor = chain.anchor();
  report.last_hash = chain.hash();
  report.stopped = chain.stopped();
  if (!whole) return report;
  if (!bad_head.ok()) {
    report.broken = LogBreak{.file = kLogHeadFile,
                             .sequence = chain.sequence(),
                             .what = std::string(bad_head.message())};
    return report;
  }
  report.broken = CheckEnds(**reader, report);
  std::optional<LogBreak> by_kept = CheckKept(**reader, kept, report);
  if (!report.broken.has_value()) report.broken = std::move(by_kept);
  // What the files still show is the plainer word. Elsewhere a restart went on after the break, so
  // that only its record shows it.
  if (!report.broken.has_value()) report.broken = std::move(told);
  return report;
}

}  // namespace penstock::router
