#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

struct InferOptions {
  RequestOptions request;
  bool explain = false;
  bool json = false;
};

// Elements shown of each output; --json has them all.
constexpr size_t kShown = 12;

nlohmann::ordered_json AnswerJson(const Answer& answer) {
  nlohmann::ordered_json json;
  for (const Tensor& output : answer.outputs) {
    json["outputs"][output.name] = {
        {"datatype", std::string(DataTypeName(output.datatype))},
        {"shape", output.shape},
        {"values", nlohmann::json::parse(ShowValues(output, SIZE_MAX), nullptr, false)}};
  }
  for (const auto& [name, value] : answer.parameters) {
    auto& to = json["parameters"][name];
    if (const auto* number = std::get_if<double>(&value)) {
      to = *number;
    } else {
      to = ShowParameter(value);
    }
  }
  return json;
}

void Print(const Answer& answer) {
  Table outputs({"output", "datatype", "shape", "values"});
  for (const Tensor& output : answer.outputs) {
    outputs.AddRow({output.name, std::string(DataTypeName(output.datatype)),
                    ShapeString(output.shape), ShowValues(output, kShown)});
  }
  std::printf("%s\n", outputs.ToString().c_str());
  Table parameters({"parameter", "value"});
  for (const auto& [name, value] : answer.parameters) {
    parameters.AddRow({name, ShowParameter(value)});
  }
  std::printf("%s", parameters.ToString().c_str());
}

absl::Status RunInfer(const InferOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.request.client));
  PENSTOCK_ASSIGN_OR_RETURN(const auto metadata, FetchMetadata(*client, options.request.pool));
  PENSTOCK_ASSIGN_OR_RETURN(InferRequest request, BuildRequest(options.request, metadata));
  if (options.explain) request.parameters.push_back({"penstock_explain", true});
  PENSTOCK_ASSIGN_OR_RETURN(const Answer answer,
                            client->Infer(request, absl::Seconds(options.request.timeout_s)));
  if (options.json) {
    std::printf("%s\n", AnswerJson(answer).dump(2).c_str());
  } else {
    Print(answer);
  }
  return absl::OkStatus();
}

}  // namespace

void RegisterInfer(CLI::App& app, Run& run) {
  auto options = std::make_shared<InferOptions>();
  CLI::App& command = *app.add_subcommand(
      "infer", "Sends one request to a pool and prints the answer, who gave it and what it cost");
  AddRequestOptions(command, options->request);
  command.add_flag("--explain", options->explain, "add the decision to the answer");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunInfer(*options); }; });
}

}  // namespace penstock::cli
