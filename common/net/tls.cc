#include "common/net/tls.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned kRefreshSeconds = 10;

// gRPC would serve without a certificate that it cannot read, and fail every handshake.
absl::Status CheckPem(const char* field, const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": cannot read ", path));
  }
  if (!absl::StrContains(text, "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": no PEM in ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const config::v1::Tls& tls) {
  if (tls.certificate_file().empty() && tls.key_file().empty()) {
    if (!tls.client_ca_file().empty()) {
      return absl::InvalidArgumentError(
          "tls.client_ca_file is set, but tls.certificate_file and tls.key_file are not");
    }
    return grpc::InsecureServerCredentials();
  }
  PENSTOCK_RETURN_IF_ERROR(CheckPem("tls.certificate_file", tls.certificate_file()));
  PENSTOCK_RETURN_IF_ERROR(CheckPem("tls.key_file", tls.key_file()));
  const bool mutual = !tls.client_ca_file().empty();
  if (mutual) PENSTOCK_RETURN_IF_ERROR(CheckPem("tls.client_ca_file", tls.client_ca_file()));
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(tls.key_file(), tls.certificate_file(),
                                                       tls.client_ca_file(), kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (mutual) options.watch_root_certs();
  options.set_cert_request_type(mutual
                                    ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                    : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const config::v1::Endpoint& endpoint) {
  const bool own_certificate =
      !endpoint.certificate_file().empty() || !endpoint.key_file().empty();
  if (endpoint.ca_file().empty()) {
    if (own_certificate) {
      return absl::InvalidArgumentError("certificate_file is set, but ca_file is not");
    }
    return grpc::InsecureChannelCredentials();
  }
  PENSTOCK_RETURN_IF_ERROR(CheckPem("ca_file", endpoint.ca_file()));
  if (own_certificate) {
    PENSTOCK_RETURN_IF_ERROR(CheckPem("certificate_file", endpoint.certificate_file()));
    PENSTOCK_RETURN_IF_ERROR(CheckPem("key_file", endpoint.key_file()));
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<FileWatcherCertificateProvider>(
      endpoint.key_file(), endpoint.certificate_file(), endpoint.ca_file(), kRefreshSeconds));
  options.watch_root_certs();
  if (own_certificate) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace penstock
