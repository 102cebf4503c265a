#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/explain/counterfactual_text.h"
#include "cli/output/table.h"
#include "common/net/grpc_status.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

struct ExplainOptions {
  RequestOptions request;
  bool json = false;
};

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

void Print(const v1::Decision& decision) {
  std::printf("%s %s\n\n", decision.id().c_str(), decision.reason().c_str());
  Table table({"expert", "P(right)", "gate", "latency ms", "energy mJ", "weight", "why not"});
  for (const v1::Candidate& candidate : decision.candidates()) {
    std::string weight = "-";
    for (const v1::Run& run : decision.runs()) {
      if (run.expert() == candidate.expert()) weight = Number(run.weight());
    }
    table.AddRow({candidate.expert(), Number(candidate.quality()), Number(candidate.gate()),
                  Number(candidate.latency_ms()), Number(1000 * candidate.energy_j()), weight,
                  candidate.excluded()});
  }
  std::printf("%s\n", table.ToString().c_str());
  std::printf("objective %s, latency budget %s ms, energy budget %s J\n",
              decision.objective().c_str(), Number(decision.latency_budget_ms()).c_str(),
              Number(decision.energy_budget_j()).c_str());
  for (const auto& [resource, price] : decision.prices()) {
    std::printf("price of %s: %s quality units a unit\n", resource.c_str(), Number(price).c_str());
  }
  const auto version = [](const char* what, const std::string& checksum) {
    if (!checksum.empty()) std::printf("%s version %s\n", what, checksum.c_str());
  };
  version("quality", decision.quality_version());
  version("gate", decision.gate_version());
  if (!decision.shadow_expert().empty()) {
    std::printf("the shadow would ask %s\n", decision.shadow_expert().c_str());
  }
  if (decision.has_price_multiplier()) {
    std::printf("that is %s times what others pay: tenant %s took more than its part\n",
                Number(decision.price_multiplier()).c_str(), decision.tenant().c_str());
  }
  if (decision.counterfactuals().empty()) return;
  std::printf("\nanother choice, all else the same:\n");
  for (const v1::Counterfactual& counterfactual : decision.counterfactuals()) {
    std::printf("  %s\n", CounterfactualText(counterfactual).c_str());
  }
}

absl::Status RunExplain(const ExplainOptions& options) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::unique_ptr<PoolClient> client,
                            PoolClient::Create(options.request.client));
  PENSTOCK_ASSIGN_OR_RETURN(const auto metadata, FetchMetadata(*client, options.request.pool));
  PENSTOCK_ASSIGN_OR_RETURN(const InferRequest request, BuildRequest(options.request, metadata));
  v1::ExplainRequest explain;
  if (!explain.mutable_request()->ParseFromString(EncodeInferRequest(request).ToString())) {
    return absl::InternalError("the request does not parse");
  }
  grpc::ClientContext context;
  client->Prepare(context, absl::Seconds(options.request.timeout_s));
  v1::ExplainResponse response;
  PENSTOCK_RETURN_IF_ERROR(FromGrpcStatus(client->routing().Explain(&context, explain, &response)));
  if (!options.json) {
    Print(response.decision());
    return absl::OkStatus();
  }
  google::protobuf::util::JsonPrintOptions format;
  format.add_whitespace = true;
  format.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(response.decision(), &json, format).ok()) {
    return absl::InternalError("the decision has no JSON form");
  }
  std::printf("%s", json.c_str());
  return absl::OkStatus();
}

}  // namespace

void RegisterExplain(CLI::App& app, Run& run) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App& command = *app.add_subcommand(
      "explain", "Shows how a request would be routed, and why, without running it: what each expert is\n"
                 "expected to be worth and to cost, and the least change of each limit that would change\n"
                 "who is chosen");
  AddRequestOptions(command, options->request);
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunExplain(*options); }; });
}

}  // namespace penstock::cli
