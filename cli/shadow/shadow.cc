#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/output/message_json.h"
#include "cli/output/table.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

struct ShadowOptions {
  ClientOptions client;
  std::string pool;
  std::string version;  // of promote
  bool json = false;
};

absl::StatusOr<v1::ShadowStatus> Fetch(PoolClient& client, const ShadowOptions& options) {
  grpc::ClientContext context;
  client.Prepare(context, kTimeout);
  v1::GetShadowRequest request;
  request.set_pool(options.pool);
  v1::GetShadowResponse response;
  PENSTOCK_RETURN_IF_ERROR(
      client.OfRouting(client.routing().GetShadow(&context, request, &response)));
  return response.shadow();
}

// Nothing was counted, so that a mean of it says nothing.
std::string Mean(uint64_t count, double value) {
  return count == 0 ? "-" : absl::StrFormat("%.4g", value);
}

std::string Gain(uint64_t count, double mean, double standard_error) {
  return count < 2 ? "-" : absl::StrFormat("%+.4g +- %.2g", mean, standard_error);
}

std::string Text(const v1::ShadowStatus& status) {
  std::string text =
      absl::StrCat("live      ", status.live_version(), "\nshadow    ",
                   status.shadow_version().empty() ? "none" : status.shadow_version(), "\n");
  if (!status.promoted_version().empty()) {
    absl::StrAppend(&text, "promoted  ", status.promoted_version(), "\n");
  }
  Table table({"", "live", "shadow", "live - shadow"});
  const uint64_t decisions = status.decisions(), reports = status.reports();
  table.AddRow({"expected quality of its choice", Mean(decisions, status.live_quality()),
                Mean(decisions, status.shadow_quality()), ""});
  table.AddRow({"expected mJ of its choice", Mean(decisions, 1000 * status.live_energy_j()),
                Mean(decisions, 1000 * status.shadow_energy_j()), ""});
  table.AddRow({"squared error on reports", Mean(reports, status.live_brier()),
                Mean(reports, status.shadow_brier()),
                Gain(reports, status.brier_gain(), status.brier_gain_standard_error())});
  absl::StrAppendFormat(
      &text, "\n%d decisions, agreed on %.1f %%; %d reports\n%s", decisions,
      decisions == 0 ? 0.0
                     : 100 * static_cast<double>(status.agreed()) / static_cast<double>(decisions),
      reports, table.ToString());
  // Without a standard error no report told how probable its choice was.
  if (status.value_gain_standard_error() > 0) {
    absl::StrAppend(&text, "quality of what the shadow chooses over the live choice: ",
                    Gain(2, status.value_gain(), status.value_gain_standard_error()), "\n");
  }
  return text;
}

absl::Status RunShadow(const ShadowOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client, PoolClient::Create(options.client));
  PENSTOCK_ASSIGN_OR_RETURN(const v1::ShadowStatus status, Fetch(*client, options));
  if (options.json) return PrintJson(status);
  std::printf("%s", Text(status).c_str());
  return absl::OkStatus();
}

absl::Status RunPromote(const ShadowOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client, PoolClient::Create(options.client));
  v1::PromoteRequest request;
  request.set_pool(options.pool);
  request.set_version(options.version);
  if (options.version.empty()) {
    // By its version at every router: one that promoted it already must not do anything else.
    PENSTOCK_ASSIGN_OR_RETURN(const v1::ShadowStatus status, Fetch(*client, options));
    if (status.shadow_version().empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("pool ", options.pool, " has no shadow; live is ", status.live_version()));
    }
    request.set_version(status.shadow_version());
  }
  grpc::ClientContext context;
  client->Prepare(context, kTimeout);
  v1::PromoteResponse response;
  PENSTOCK_RETURN_IF_ERROR(client->OfRouting(client->routing().Promote(&context, request, &response)));
  if (options.json) return PrintJson(response);
  std::printf("live      %s\nprevious  %s\n", response.live_version().c_str(),
              response.previous_version().c_str());
  return absl::OkStatus();
}

void AddShadowOptions(CLI::App& command, ShadowOptions& options) {
  AddClientOptions(command, options.client);
  AddRouterOption(command, options.client);
  command.add_option("--pool", options.pool, "whose shadow")->required();
  command.add_flag("--json", options.json, "print JSON");
}

}  // namespace

void RegisterShadow(CLI::App& app, Run& run) {
  auto options = std::make_shared<ShadowOptions>();
  CLI::App& command = *app.add_subcommand(
      "shadow",
      "How a pool's shadow does against its live files on the same requests (admin right).\n"
      "Behind a gateway: of one of its routers.");
  AddShadowOptions(command, *options);
  command.callback([options, &run] { run = [options] { return RunShadow(*options); }; });
}

void RegisterPromote(CLI::App& app, Run& run) {
  auto options = std::make_shared<ShadowOptions>();
  CLI::App& command = *app.add_subcommand(
      "promote",
      "Makes a pool's shadow live without a restart (admin right). Behind a gateway: at all "
      "routers.\n"
      "It lasts until the router restarts: put the files into the configuration too.");
  AddShadowOptions(command, *options);
  command.add_option(
      "--version", options->version,
      "the shadow's, as `penstock shadow` shows it, or the one that was live before the\n"
      "last promotion; unset: the shadow's");
  command.callback([options, &run] { run = [options] { return RunPromote(*options); }; });
}

}  // namespace penstock::cli
