#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>

#include "cli/client/pool_client.h"
#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/explain/decision_text.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

struct ExplainOptions {
  RequestOptions request;
  bool json = false;
};

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
  PENSTOCK_RETURN_IF_ERROR(client->OfRouting(client->routing().Explain(&context, explain, &response)));
  if (!options.json) {
    std::printf("%s", DecisionText(response.decision()).c_str());
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
