#include "cli/client/pool_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/net/caller_rights.h"
#include "common/net/grpc_status.h"
#include "common/notification.h"
#include "common/read_file.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

// gRPC carries no more metadata of a call.
constexpr size_t kMostKeyBytes = 8 << 10;

}  // namespace

std::string Answer::Text(const std::string& name) const {
  const auto it = parameters.find(name);
  if (it == parameters.end()) return "";
  const auto* text = std::get_if<std::string>(&it->second);
  return text == nullptr ? "" : *text;
}

double Answer::Number(const std::string& name, double otherwise) const {
  const auto it = parameters.find(name);
  if (it == parameters.end()) return otherwise;
  if (const auto* number = std::get_if<double>(&it->second)) return *number;
  if (const auto* number = std::get_if<int64_t>(&it->second)) return static_cast<double>(*number);
  return otherwise;
}

const Tensor* Answer::Output(absl::string_view name) const {
  for (const Tensor& output : outputs) {
    if (output.name == name) return &output;
  }
  return nullptr;
}

absl::StatusOr<Answer> DecodeAnswer(const InferReply& reply) {
  PENSTOCK_RETURN_IF_ERROR(reply.status);
  PENSTOCK_ASSIGN_OR_RETURN(const InferResponseHeader header, ScanInferResponse(reply.body));
  Answer answer;
  PENSTOCK_ASSIGN_OR_RETURN(answer.outputs, DecodeOutputs(reply.body, header));
  for (const Parameter& parameter : header.parameters) {
    answer.parameters[parameter.name] = parameter.value;
  }
  return answer;
}

absl::StatusOr<config::v1::Endpoint> EndpointAt(const std::string& address,
                                                const ClientOptions& options) {
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError(options.key_file.empty()
                                          ? "--cert is set: wanted its --key too"
                                          : "--key is set: wanted its --cert too");
  }
  if (options.ca_file.empty() && !options.certificate_file.empty()) {
    return absl::InvalidArgumentError("--cert is set: wanted --ca of the server's CA too");
  }
  if (options.ca_file.empty() && !options.server_name.empty()) {
    return absl::InvalidArgumentError(
        "--server_name is set: wanted --ca of the server's CA too, nothing is asked without it");
  }
  config::v1::Endpoint endpoint;
  endpoint.set_address(address);
  endpoint.set_ca_file(options.ca_file);
  endpoint.set_certificate_file(options.certificate_file);
  endpoint.set_key_file(options.key_file);
  return endpoint;
}

absl::StatusOr<std::unique_ptr<PoolClient>> PoolClient::Create(const ClientOptions& options) {
  auto client = std::unique_ptr<PoolClient>(new PoolClient());
  if (!options.api_key_file.empty()) {
    absl::StatusOr<std::string> key = ReadFile(options.api_key_file, kMostKeyBytes);
    if (!key.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--api_key_file: ", key.status().message()));
    }
    absl::StripAsciiWhitespace(&*key);
    client->metadata_.emplace_back("authorization", absl::StrCat("Bearer ", *key));
  }
  client->asked_ = options.router.empty() ? options.target : options.router;
  if (!options.router.empty()) {
    // A router believes it of those that it trusts, as it does of its gateways.
    CallerRights rights;
    rights.admin = true;
    client->metadata_.emplace_back(kRightsMetadata, rights.ToMetadata());
  }
  PENSTOCK_ASSIGN_OR_RETURN(const config::v1::Endpoint endpoint,
                            EndpointAt(client->asked_, options));
  InferTargetOptions of_target;
  of_target.server_name = options.server_name;
  PENSTOCK_ASSIGN_OR_RETURN(
      client->target_, GrpcInferTarget::Create(endpoint, client->queues_, std::move(of_target)));
  client->routing_ = v1::Routing::NewStub(client->target_->channel());
  return client;
}

absl::Status PoolClient::WaitUntilHealthy(absl::Duration patience) {
  const absl::Time until = absl::Now() + patience;
  while (!target_->healthy()) {
    if (absl::Now() >= until) {
      return absl::UnavailableError(absl::StrCat(target_->address(), " does not serve; waited ",
                                                 absl::FormatDuration(patience)));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::OkStatus();
}

absl::StatusOr<Answer> PoolClient::Infer(const InferRequest& request, absl::Duration timeout) {
  CallOptions options;
  options.deadline = absl::Now() + timeout;
  options.metadata = metadata_;
  InferReply reply;
  Notification answered;
  target_->ModelInfer(EncodeInferRequest(request), std::move(options), [&](InferReply got) {
    reply = std::move(got);
    answered.Notify();
  });
  answered.Wait();
  return DecodeAnswer(reply);
}

void PoolClient::Prepare(grpc::ClientContext& context, absl::Duration timeout) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  for (const auto& [key, value] : metadata_) context.AddMetadata(key, value);
}

absl::Status PoolClient::OfRouting(const grpc::Status& status) const {
  absl::Status told = FromGrpcStatus(status);
  if (!absl::IsPermissionDenied(told) || !absl::StrContains(told.message(), "trusted callers")) {
    return told;
  }
  return absl::PermissionDeniedError(
      absl::StrCat(told.message(), "; ", asked_,
                   " is a router that does not trust this caller: pass --target of a gateway, or set "
                   "trust_plaintext in the router's configuration and pass --router ", asked_));
}

}  // namespace penstock::cli
