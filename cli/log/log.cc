#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/command.h"
#include "cli/log/record_filter.h"
#include "cli/log/record_row.h"
#include "cli/log/store_heads.h"
#include "cli/log/verify_text.h"
#include "common/status_macros.h"
#include "router_service/recording/chain/log_reader.h"
#include "router_service/recording/chain/verify_log.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kFollowEvery = absl::Milliseconds(200);

struct VerifyOptions {
  std::vector<std::string> folders;
  std::string head;
  std::string heads;
  bool json = false;
};

// Read before the log is: its router may write meanwhile, and tell heads of that.
absl::StatusOr<std::vector<router::LogHead>> KeptHeads(const std::string& uri,
                                                       const std::string& folder) {
  if (uri.empty()) return std::vector<router::LogHead>();
  const absl::StatusOr<std::string> log = router::ReadLogId(folder);
  // What is wrong with the folder is found without heads.
  if (!log.ok()) return std::vector<router::LogHead>();
  return ReadStoreHeads(uri, *log);
}

absl::Status RunVerify(const VerifyOptions& options) {
  std::optional<router::LogHead> head;
  if (!options.head.empty()) {
    if (options.folders.size() > 1) {
      return absl::InvalidArgumentError("--head is of one log: wanted one folder");
    }
    PENSTOCK_ASSIGN_OR_RETURN(head, router::ReadLogHead(options.head));
    if (!head.has_value()) {
      return absl::NotFoundError(absl::StrCat("--head ", options.head, ": no such file"));
    }
  }
  std::string broken;
  for (const std::string& folder : options.folders) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<router::LogHead> kept,
                              KeptHeads(options.heads, folder));
    PENSTOCK_ASSIGN_OR_RETURN(const router::LogReport report,
                              router::VerifyLog(folder, head, kept));
    const std::string told =
        options.json ? LogReportJson(folder, report) : FormatLogReport(folder, report);
    std::printf("%s", told.c_str());
    if (report.broken.has_value() && broken.empty()) {
      broken = absl::StrCat(folder, ": ", FormatLogBreak(*report.broken));
    }
  }
  return broken.empty() ? absl::OkStatus() : absl::DataLossError(broken);
}

struct ReadOptions {
  std::string folder;
  std::string since, until, sequence;
  std::vector<std::string> kinds;
  RecordFilter filter;
  bool follow = false;
  bool json = false;
  std::string format = "jsonl";
  std::string output;
};

absl::StatusOr<RecordFilter> FilterOf(const ReadOptions& options) {
  RecordFilter filter = options.filter;
  const absl::Time now = absl::Now();
  if (!options.since.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(filter.since, ParseWhen("--since", options.since, now));
  }
  if (!options.until.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(filter.until, ParseWhen("--until", options.until, now));
  }
  if (!options.sequence.empty()) {
    PENSTOCK_RETURN_IF_ERROR(ParseSequences(options.sequence, filter));
  }
  PENSTOCK_RETURN_IF_ERROR(ParseKinds(options.kinds, filter));
  return filter;
}

// Whatever a record is written as, on its own.
enum class Form { kRow, kTabs, kRecord, kMessage };

std::string Written(Form form, const router::LogReader& reader, const router::Record& record,
                    const v1::LogRecord& message) {
  switch (form) {
    case Form::kRow:
      return AlignedRow(RecordRow(record, message));
    case Form::kTabs:
      return TabbedRow(RecordRow(record, message));
    case Form::kRecord:
      // The reader checked that it is a line.
      return absl::StrCat(router::ParseRecordLine(reader.line())->record, "\n");
    case Form::kMessage:
      break;
  }
  return absl::StrCat(record.content, "\n");
}

// Writes the records that are wanted. A break is told and passed over, and fails the command in the
// end.
absl::Status WriteRecords(const ReadOptions& options, const RecordFilter& filter, Form form,
                          std::FILE* to) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<router::LogReader> reader,
                            router::LogReader::Open(options.folder));
  if (form == Form::kRow) std::fputs(AlignedRow(RecordColumns()).c_str(), to);
  if (form == Form::kTabs) std::fputs(TabbedRow(RecordColumns()).c_str(), to);
  uint64_t breaks = 0;
  router::Record record;
  for (;;) {
    const absl::StatusOr<bool> more = reader->Next(record);
    if (absl::IsDataLoss(more.status())) {
      ++breaks;
      std::fprintf(stderr, "warning: broken: %s\n", std::string(more.status().message()).c_str());
      continue;
    }
    PENSTOCK_RETURN_IF_ERROR(more.status());
    if (!*more) {
      if (!options.follow) break;
      if (std::fflush(to) != 0) break;
      absl::SleepFor(kFollowEvery);
      continue;
    }
    if (!filter.MayWant(record)) continue;
    const auto message = ParseMessage(record);
    if (!message.ok()) {
      ++breaks;
      std::fprintf(stderr, "warning: %s: %s\n", reader->where().c_str(),
                   std::string(message.status().message()).c_str());
      continue;
    }
    if (!filter.Wants(*message)) continue;
    const std::string text = Written(form, *reader, record, *message);
    if (std::fwrite(text.data(), 1, text.size(), to) != text.size()) break;
  }
  if (std::fflush(to) != 0 || std::ferror(to) != 0) {
    return absl::FailedPreconditionError("the output cannot be written");
  }
  if (breaks == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(options.folder, ": broken in ", breaks,
                                          " places; the rest of each such segment is left out"));
}

absl::Status RunShow(const ReadOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const RecordFilter filter, FilterOf(options));
  return WriteRecords(options, filter, options.json ? Form::kRecord : Form::kRow, stdout);
}

absl::Status RunExport(const ReadOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(RecordFilter filter, FilterOf(options));
  const bool tabs = options.format == "tsv";
  // What `replay` and `train` read has no place for others.
  if (!tabs && !options.kinds.empty()) {
    return absl::InvalidArgumentError("--kind chooses rows of --format tsv");
  }
  if (!tabs) filter.kinds = {router::RecordKind::kDecision, router::RecordKind::kEvent};
  const Form form = tabs ? Form::kTabs : Form::kMessage;
  if (options.output.empty()) return WriteRecords(options, filter, form, stdout);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(options.output.c_str(), "w"), std::fclose);
  if (file == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("--output ", options.output, ": cannot be written"));
  }
  return WriteRecords(options, filter, form, file.get());
}

void AddFilters(CLI::App& command, ReadOptions& options) {
  command.add_option("folder", options.folder, "a router's decision_log.directory")->required();
  command.add_option("--pool", options.filter.pool, "decisions of this pool");
  command.add_option("--tenant", options.filter.tenant, "decisions and audits of this tenant");
  command.add_option("--expert", options.filter.expert, "decisions that this expert ran for");
  command.add_option("--since", options.since,
                     "written then or later: 2026-11-30T08:00:00Z, or 90m for so long ago");
  command.add_option("--until", options.until, "written before then");
  command.add_option("--sequence", options.sequence, "N, or FIRST-LAST");
}

void AddVerify(CLI::App& log, Run& run) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App& verify = *log.add_subcommand(
      "verify",
      "Reads every record of a router's log and says whether the log is as the router wrote it: "
      "what was\n"
      "changed, taken away, put in or moved is found, and the first such place is named by file, "
      "line and\n"
      "the last good record; it ends with 1 then. That the log's tail was cut shows by its head, "
      "which\n"
      "stands in the folder; who can write the folder can make both anew, and only heads from "
      "elsewhere\n"
      "tell that: a copy, or those that a router keeps in its store:\n\n"
      "  penstock log verify /var/lib/penstock/decisions\n"
      "  penstock log verify /var/lib/penstock/decisions --head /mnt/safe/head\n"
      "  penstock log verify /var/lib/penstock/decisions --heads redis://state:6379");
  verify.add_option("folders", options->folders, "decision_log.directory of routers")->required();
  verify.add_option(
      "--head", options->head,
      "copy of the folder's `head` file that was kept elsewhere: the log must have it");
  verify.add_option("--heads", options->heads,
                    "the router's `store`: the log must have every head that is kept there");
  verify.add_flag("--json", options->json, "print JSON, an object a folder");
  verify.callback([options, &run] { run = [options] { return RunVerify(*options); }; });
}

void AddShow(CLI::App& log, Run& run) {
  auto options = std::make_shared<ReadOptions>();
  CLI::App& show = *log.add_subcommand(
      "show",
      "Shows records of a router's log, checking their chain on the way:\n\n"
      "  penstock log show /var/lib/penstock/decisions --kind decision,audit --since 10m --follow");
  AddFilters(show, *options);
  show.add_option("--kind", options->kinds,
                  "some of header,close,gap,recovery,decision,event,audit; unset: all")
      ->delimiter(',');
  show.add_flag("--follow", options->follow, "wait for more at the end");
  show.add_flag("--json", options->json, "print JSON, a record a line");
  show.callback([options, &run] { run = [options] { return RunShow(*options); }; });
}

void AddExport(CLI::App& log, Run& run) {
  auto options = std::make_shared<ReadOptions>();
  CLI::App& command = *log.add_subcommand(
      "export",
      "Writes a router's log without its hashes: decisions and events as JSON lines, which "
      "`replay` and\n"
      "`train --decisions` read, or records as tab-separated rows:\n\n"
      "  penstock log export /var/lib/penstock/decisions --since 24h --output day.jsonl\n"
      "  penstock log export /var/lib/penstock/decisions --format tsv --kind decision > "
      "decisions.tsv");
  AddFilters(command, *options);
  command.add_option("--format", options->format, "jsonl or tsv")
      ->check(CLI::IsMember({"jsonl", "tsv"}))
      ->capture_default_str();
  command.add_option("--kind", options->kinds, "of tsv: kinds of records; unset: all")
      ->delimiter(',');
  command.add_option("--output", options->output, "file; unset: standard output");
  command.callback([options, &run] { run = [options] { return RunExport(*options); }; });
}

}  // namespace

void RegisterLog(CLI::App& app, Run& run) {
  CLI::App& log = *app.add_subcommand(
      "log",
      "Reads a router's decision log: verifies its chain of hashes, shows and exports records.");
  log.require_subcommand(1);
  AddVerify(log, run);
  AddShow(log, run);
  AddExport(log, run);
}

}  // namespace penstock::cli
