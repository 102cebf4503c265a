#include "common/net/caller_policy.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "common/net/grpc_metadata.h"

namespace penstock {
namespace {

// Names that a certificate proves: its subject alternative names, else its common name (RFC 6125 6.4.4).
std::vector<std::string> CertificateNames(const grpc::AuthContext& context) {
  std::vector<std::string> names;
  for (const char* property : {"x509_dns", "x509_uri", "x509_subject_alternative_name"}) {
    for (const grpc::string_ref& name : context.FindPropertyValues(property)) {
      std::string text(name.data(), name.size());
      if (std::find(names.begin(), names.end(), text) == names.end()) {
        names.push_back(std::move(text));
      }
    }
  }
  if (!names.empty()) return names;
  for (const grpc::string_ref& name : context.FindPropertyValues("x509_common_name")) {
    names.emplace_back(name.data(), name.size());
  }
  return names;
}

bool IsTls(const grpc::AuthContext& context) {
  for (const grpc::string_ref& type : context.FindPropertyValues("transport_security_type")) {
    if (type == "tls" || type == "ssl") return true;
  }
  return false;
}

// gRPC 1.51 names no peer of an in-process channel. Every socket has an address, and its credentials,
// plaintext included, state their kind; both are the transport's word, not the client's.
bool IsInProcess(const std::string& peer, const grpc::ServerContextBase& context) {
  if (absl::StartsWith(peer, "inproc")) return true;
  if (peer != "unknown") return false;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  return auth == nullptr || auth->FindPropertyValues("transport_security_type").empty();
}

}  // namespace

Caller CallerPolicy::Identify(const grpc::ServerContextBase& context) const {
  std::string peer = context.peer();
  if (IsInProcess(peer, context)) return Caller{true, "", "inproc"};
  if (!tls_) return Identify(std::move(peer), false, {});
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const bool secure = auth != nullptr && IsTls(*auth);
  return Identify(std::move(peer), secure,
                  secure ? CertificateNames(*auth) : std::vector<std::string>());
}

Caller CallerPolicy::Identify(std::string peer, bool secure,
                              const std::vector<std::string>& names) const {
  Caller caller;
  if (!names.empty()) caller.certificate_name = names.front();
  for (const std::string& name : names) {
    if (std::find(trusted_names_.begin(), trusted_names_.end(), name) == trusted_names_.end()) {
      continue;
    }
    caller.trusted = true;
    caller.certificate_name = name;
    break;
  }
  if (!secure && trust_plaintext_) caller.trusted = true;
  caller.peer = std::move(peer);
  return caller;
}

Metadata ClientMetadata(const grpc::ServerContextBase& context) {
  return FromGrpcMetadata(context.client_metadata());
}

absl::Time ClientDeadline(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : absl::FromChrono(deadline);
}

ControlContext MakeControlContext(const grpc::ServerContextBase& context,
                                  const CallerPolicy& policy) {
  return ControlContext{ClientMetadata(context), policy.Identify(context),
                        ClientDeadline(context)};
}

}  // namespace penstock
