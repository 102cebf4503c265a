#include "router_service/simulation/decisions/decision_replay.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/log_reader.h"
#include "router_service/recording/decision_id.h"
#include "router_service/recording/decision_writer.h"
#include "router_service/simulation/decisions/choice_replay.h"

namespace penstock::router {
namespace {

template <typename Message>
bool Parse(absl::string_view line, Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a later version
  return google::protobuf::util::JsonStringToMessage(std::string(line), &message, options).ok();
}

// Why a decision is of a kind that is not made again; empty: it is not of one.
std::string KindNotReplayed(const v1::Decision& decision) {
  if (decision.explored()) return "explored";
  if (decision.assigned_together() > 1) return "assigned together with others";
  for (const v1::Run& run : decision.runs()) {
    if (run.reason() == "verification") return "second opinion";
    if (run.reason() != "chosen" && run.reason() != "escalation" && run.reason() != "retry" &&
        run.reason() != "hedge") {
      return absl::StrCat("ran as \"", run.reason(), "\"");
    }
  }
  return "";
}

absl::Status AddFolder(const std::string& folder, DecisionReplay& replay) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<LogReader> reader, LogReader::Open(folder));
  Record record;
  for (;;) {
    const absl::StatusOr<bool> more = reader->Next(record);
    if (absl::IsDataLoss(more.status())) {
      replay.AddBreak(more.status().message());
      continue;
    }
    PENSTOCK_RETURN_IF_ERROR(more.status());
    if (!*more) return absl::OkStatus();
    if (record.kind == RecordKind::kDecision || record.kind == RecordKind::kEvent) {
      replay.Add(record.content, reader->where());
    } else if (v1::LogGap gap; record.kind == RecordKind::kGap && Parse(record.content, gap)) {
      replay.AddGap(gap.decisions() + gap.events() + gap.audits());
    }
  }
}

}  // namespace

void DecisionReplay::Add(absl::string_view line, absl::string_view where) {
  ++lines_;
  if (line.empty()) return;
  if (IsEventLine(line)) {
    v1::PacerEvent event;
    if (Parse(line, event) && event.sequence() > 0) return AddEvent(event);
  } else {
    v1::Decision decision;
    if (Parse(line, decision) && !decision.id().empty()) return AddDecision(decision);
  }
  if (malformed_++ > 0) return;
  first_malformed_ = where.empty() ? absl::StrCat("line ", lines_) : std::string(where);
}

void DecisionReplay::AddBreak(absl::string_view what) {
  if (breaks_++ == 0) first_break_ = std::string(what);
}

void DecisionReplay::AddEvent(const v1::PacerEvent& event) {
  ++report_.events;
  std::unique_ptr<PacerReplay>& router = routers_[event.router()];
  if (router == nullptr) router = std::make_unique<PacerReplay>(report_.mismatches);
  router->Apply(event);
}

void DecisionReplay::AddDecision(const v1::Decision& decision) {
  if (decision.has_reported_quality() || !seen_.insert(decision.id()).second) {
    ++report_.reports;
    return;
  }
  ++report_.decisions;
  const auto id = DecisionId::Parse(decision.id());
  const std::string why = id.ok() ? Replay(decision, id->instance) : "id of no router";
  if (!why.empty()) ++report_.not_replayed[why];
}

std::string DecisionReplay::Replay(const v1::Decision& decision, uint32_t instance) {
  if (!decision.has_choice()) return "without a record of the choice";
  const auto router = routers_.find(instance);
  std::optional<PacerReplay::Decided> request;
  if (router != routers_.end()) request = router->second->Decide(decision.choice().request());
  if (!request) return "events are missing";
  const bool opened_as_logged =
      report_.mismatches.Same(decision.id(), "pool", decision.pool(), request->pool) &&
      report_.mismatches.Same(decision.id(), "tenant", decision.tenant(), request->tenant);
  bool same = request->sure && opened_as_logged;
  if (!request->refused) {
    if (decision.choice().choices().empty()) {
      return decision.candidates().empty() ? "no choice was made" : "row by row";
    }
    if (std::string kind = KindNotReplayed(decision); !kind.empty()) return kind;
    same = ReplayChoices(decision, request->views, report_.mismatches) && same;
  } else {
    same =
        report_.mismatches.Same(decision.id(), "status", decision.status(), "RESOURCE_EXHAUSTED") &&
        same;
  }
  ++(same ? report_.reproduced : report_.mismatched);
  return "";
}

DecisionReplayReport DecisionReplay::Finish() {
  uint64_t lost = 0;
  uint64_t undecided = 0;
  bool unended = false;
  bool headless = false;
  for (const auto& [instance, router] : routers_) {
    // What the router says that it lost is among the missing events, or is decisions.
    lost += std::max(router->lost(), router->ended().value_or(0));
    undecided += router->undecided();
    unended = unended || !router->ended();
    headless = headless || router->headless();
  }
  lost = std::max(lost, gaps_);
  std::vector<std::string>& incomplete = report_.incomplete;
  if (breaks_ > 0) {
    incomplete.push_back(
        absl::StrCat("the chain is broken ", breaks_, " times, first at ", first_break_));
  }
  if (lost > 0) incomplete.push_back(absl::StrCat(lost, " lines were lost"));
  if (malformed_ > 0) {
    incomplete.push_back(
        absl::StrCat(malformed_, " lines do not parse, the first is ", first_malformed_));
  }
  if (headless) incomplete.push_back("it does not begin with the router's start");
  if (unended) incomplete.push_back("it does not end with the router's end");
  if (undecided > 0) {
    incomplete.push_back(absl::StrCat(undecided, " requests came and have no decision"));
  }
  return std::move(report_);
}

absl::StatusOr<DecisionReplayReport> ReplayDecisions(const std::string& path) {
  DecisionReplay replay;
  if (IsLogFolder(path)) {
    PENSTOCK_RETURN_IF_ERROR(AddFolder(path, replay));
  } else {
    std::ifstream file(path);
    if (!file) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
    for (std::string line; std::getline(file, line);) replay.Add(line);
  }
  DecisionReplayReport report = replay.Finish();
  if (report.decisions == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": wanted a decision log's directory or an export of one, got no decision in it"));
  }
  return report;
}

}  // namespace penstock::router
