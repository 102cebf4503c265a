#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "cli/report/feedback_file.h"
#include "common/net/grpc_status.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

struct ReportOptions {
  ClientOptions client;
  std::string decision;
  std::optional<double> quality;
  std::string file;
  bool json = false;
};

struct Refusal {
  Feedback feedback;
  absl::Status status;
};

std::string CodeAndMessage(const absl::Status& status) {
  return absl::StrCat(StatusCodeName(status.code()), ": ", status.message());
}

absl::StatusOr<std::vector<Feedback>> Wanted(const ReportOptions& options) {
  if (options.file == "-") return ReadFeedback(std::cin, "standard input");
  if (!options.file.empty()) {
    std::ifstream file(options.file);
    if (!file) return absl::NotFoundError(absl::StrCat("--file: cannot open ", options.file));
    return ReadFeedback(file, options.file);
  }
  if (options.decision.empty() || !options.quality.has_value()) {
    return absl::InvalidArgumentError("wanted --decision and --quality, or --file");
  }
  const Feedback feedback{.decision_id = options.decision, .quality = *options.quality};
  PENSTOCK_RETURN_IF_ERROR(CheckFeedback(feedback));
  return std::vector<Feedback>{feedback};
}

absl::Status Send(PoolClient& client, const Feedback& feedback) {
  grpc::ClientContext context;
  client.Prepare(context, kTimeout);
  v1::ReportRequest request;
  request.set_decision_id(feedback.decision_id);
  request.set_quality(feedback.quality);
  v1::ReportResponse response;
  return client.OfRouting(client.routing().Report(&context, request, &response));
}

// Of one report there is nothing to print but that it was taken.
std::string Text(size_t taken, const std::vector<Refusal>& refused) {
  std::string text = absl::StrCat("reported ", taken, ", refused ", refused.size(), "\n");
  if (refused.empty()) return text;
  Table table({"decision", "line", "refused because"});
  for (const Refusal& refusal : refused) {
    table.AddRow({refusal.feedback.decision_id,
                  refusal.feedback.line == 0 ? "-" : absl::StrCat(refusal.feedback.line),
                  CodeAndMessage(refusal.status)});
  }
  return absl::StrCat(text, "\n", table.ToString());
}

std::string Json(size_t taken, const std::vector<Refusal>& refused) {
  nlohmann::ordered_json json = {{"reported", taken}, {"refused", nlohmann::ordered_json::array()}};
  for (const Refusal& refusal : refused) {
    json["refused"].push_back({{"decision_id", refusal.feedback.decision_id},
                               {"line", refusal.feedback.line},
                               {"error", CodeAndMessage(refusal.status)}});
  }
  // Ids may hold anything.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::Status RunReport(const ReportOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<Feedback> wanted, Wanted(options));
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  size_t taken = 0;
  std::vector<Refusal> refused;
  for (const Feedback& feedback : wanted) {
    const absl::Status status = Send(*client, feedback);
    if (status.ok()) {
      ++taken;
      continue;
    }
    if (options.file.empty()) return status;
    // Nobody who answers: the rest would fare no better. The last report of a decision counts, so
    // that the file can be sent again.
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
      return absl::Status(status.code(),
                          absl::StrCat("after ", taken, " of ", wanted.size(), " reports, line ",
                                       feedback.line, ": ", status.message()));
    }
    refused.push_back({feedback, status});
  }
  std::printf("%s", options.json ? Json(taken, refused).c_str() : Text(taken, refused).c_str());
  if (refused.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(refused.size(), " of ", wanted.size(), " reports were refused"));
}

}  // namespace

void RegisterReport(CLI::App& app, Run& run) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App& command = *app.add_subcommand(
      "report",
      "Says how good an earlier answer was: what routers learn from (docs/learning.md). The answer's\n"
      "parameter penstock_decision_id names it; the last report of a decision counts.\n\n"
      "  penstock report --decision 0a1b2c3d-0000000000000007 --quality 1\n"
      "  penstock report --file feedback.jsonl\n\n"
      "with a line for each: {\"decision_id\": \"0a1b2c3d-0000000000000007\", \"quality\": 0.5}. A file is\n"
      "checked as a whole before anything is sent. Ends with 1 where a report was refused, and names it.");
  AddClientOptions(command, options->client);
  AddRouterOption(command, options->client);
  CLI::Option* file = command.add_option("--file", options->file, "JSON lines; -: standard input");
  command.add_option("--decision", options->decision, "penstock_decision_id of the answer")
      ->excludes(file);
  command.add_option("--quality", options->quality, "0 (wrong) to 1 (right)")->excludes(file);
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunReport(*options); }; });
}

}  // namespace penstock::cli
