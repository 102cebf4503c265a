#include <CLI/CLI.hpp>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/evaluate/evaluator.h"
#include "cli/evaluate/labelled_data.h"
#include "cli/evaluate/report.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

struct EvaluateCommandOptions {
  ClientOptions client;
  EvaluateOptions evaluate;
  std::string inputs;
  std::string labels;
  size_t dimension = 0;
  size_t limit = 0;
  std::string report;
  bool json = false;
};

absl::Status RunEvaluate(const EvaluateCommandOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(
      const LabelledData data,
      ReadLabelledData(options.inputs, options.labels, options.dimension, options.limit));
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.client));
  PENSTOCK_RETURN_IF_ERROR(client->WaitUntilHealthy(absl::Seconds(10)));
  Evaluator evaluator(*client, data, options.evaluate);
  PENSTOCK_ASSIGN_OR_RETURN(const Report report, evaluator.Run());
  std::printf("%s", options.json ? ReportJson(report).c_str() : ReportText(report).c_str());
  if (options.report.empty()) return absl::OkStatus();
  std::ofstream file(options.report);
  file << ReportJson(report);
  if (!file.flush()) return absl::InvalidArgumentError("--report: cannot write " + options.report);
  return absl::OkStatus();
}

}  // namespace

void RegisterEvaluate(CLI::App& app, Run& run) {
  auto options = std::make_shared<EvaluateCommandOptions>();
  CLI::App& command = *app.add_subcommand(
      "evaluate",
      "Sends a labelled data set through a pool at several joule and latency budgets and reports accuracy,\n"
      "joules and latency beside single experts, a shuffled router, chance and hindsight. Sets the pool's\n"
      "budget on the way (which needs the admin right) and removes it at the end");
  AddClientOptions(command, options->client);
  EvaluateOptions& evaluate = options->evaluate;
  command.add_option("--pool", evaluate.pool, "pool to evaluate")->required();
  command.add_option("--inputs", options->inputs, "raw fp32 matrix, a row a request")->required();
  command.add_option("--labels", options->labels, "a byte a row: the right answer")->required();
  command.add_option("--dimension", options->dimension, "columns of the matrix")->required();
  command.add_option("--limit", options->limit, "only the first rows");
  command.add_option("--input", evaluate.input, "the pool's input")->capture_default_str();
  command.add_option("--label_output", evaluate.label_output, "its output that holds the answer")
      ->capture_default_str();
  command.add_option("--budgets", evaluate.budgets, "pool budgets")->capture_default_str();
  command.add_option("--caps", evaluate.caps, "caps on single requests")->capture_default_str();
  command.add_option("--latencies", evaluate.latencies, "latency budgets")->capture_default_str();
  command.add_option("--gateway_metrics", evaluate.gateway_metrics,
                     "HOST:PORT of the gateway's metrics: measures the routing's own joules");
  command.add_option("--expert_metrics", evaluate.expert_metrics,
                     "HOST:PORT of the experts' metrics, where they share the gateway's process");
  command.add_option("--watts_per_core", evaluate.watts_per_core, "watts of a busy core")
      ->capture_default_str();
  command.add_option("--report", options->report, "writes the report to this file, as JSON");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunEvaluate(*options); }; });
}

}  // namespace penstock::cli
