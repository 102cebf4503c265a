#include "cli/health/health_check.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "cli/exit_code.h"
#include "common/net/rpc/client_queues.h"
#include "common/net/rpc/rpc_client.h"
#include "common/net/tls.h"
#include "common/notification.h"
#include "common/read_file.h"
#include "common/status_macros.h"
#include "grpc/health/v1/health.pb.h"

namespace penstock::cli {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<std::string> ReadPem(absl::string_view option, const std::string& path) {
  constexpr size_t kMostBytes = 1 << 20;
  absl::StatusOr<std::string> pem = ReadFile(path, kMostBytes);
  if (pem.ok()) return pem;
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", pem.status().message()));
}

// TLS to whoever answers: of this machine's own port no more is known, nor needed.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> UnverifiedTls(const ClientOptions& tls) {
  if (!tls.ca_file.empty() || !tls.server_name.empty()) {
    return absl::InvalidArgumentError(
        "--no_verify is set: nothing is checked against --ca and --server_name");
  }
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError("--cert and --key: wanted both or neither");
  }
  const bool has_own = !tls.certificate_file.empty();
  grpc::experimental::IdentityKeyCertPair own;
  if (has_own) {
    PENSTOCK_ASSIGN_OR_RETURN(own.certificate_chain, ReadPem("--cert", tls.certificate_file));
    PENSTOCK_ASSIGN_OR_RETURN(own.private_key, ReadPem("--key", tls.key_file));
  }
  // Only now: gRPC 1.51 frees no options that became no credentials.
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  if (has_own) {
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
            std::vector<grpc::experimental::IdentityKeyCertPair>{own}));
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const HealthQuestion& question) {
  if (question.address.empty()) {
    return absl::InvalidArgumentError("ADDRESS is empty, wanted HOST:PORT");
  }
  const ClientOptions& tls = question.tls;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (question.verify) {
    PENSTOCK_ASSIGN_OR_RETURN(const config::v1::Endpoint endpoint,
                              EndpointAt(question.address, tls));
    PENSTOCK_ASSIGN_OR_RETURN(credentials, MakeChannelCredentials(endpoint));
  } else {
    PENSTOCK_ASSIGN_OR_RETURN(credentials, UnverifiedTls(tls));
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  if (!tls.server_name.empty()) {
    arguments.SetSslTargetNameOverride(tls.server_name);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, tls.server_name);
  }
  return grpc::CreateCustomChannel(question.address, credentials, arguments);
}

absl::StatusOr<HealthCheckResponse> Ask(const HealthQuestion& question) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, ChannelTo(question));
  ClientQueues queues(1);
  const RpcClient rpc(channel, queues);
  HealthCheckRequest request;
  request.set_service(question.service);
  // Without waiting for a connection: the error says why there is none.
  CallOptions options;
  options.deadline = absl::Now() + question.timeout;
  absl::StatusOr<HealthCheckResponse> response;
  Notification answered;
  rpc.Call<HealthCheckResponse>("/grpc.health.v1.Health/Check", request, options,
                                [&](absl::StatusOr<HealthCheckResponse> got) {
                                  response = std::move(got);
                                  answered.Notify();
                                });
  answered.Wait();
  return response;
}

}  // namespace

absl::Status CheckHealth(const HealthQuestion& question) {
  const absl::StatusOr<HealthCheckResponse> response = Ask(question);
  if (!response.ok()) {
    return WithExitCode(
        absl::Status(response.status().code(),
                     absl::StrCat(question.address, ": ", response.status().message())),
        kExitNotAsked);
  }
  if (response->status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return WithExitCode(
      absl::UnavailableError(absl::StrCat(
          question.address, " says ", HealthCheckResponse::ServingStatus_Name(response->status()))),
      kExitNotServing);
}

}  // namespace penstock::cli
