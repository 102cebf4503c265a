#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/rpc/client_queues.h"
#include "common/tensors/infer_message.h"
#include "penstock/config/v1/server.pb.h"
#include "penstock/v1/routing.grpc.pb.h"

namespace penstock::cli {

// Where a command's target is and who asks.
struct ClientOptions {
  std::string target = "127.0.0.1:8001";
  std::string router;        // asked itself instead of `target`, as one that trusts this caller
  std::string api_key_file;  // empty: no credentials
  std::string ca_file;       // empty: plaintext
  // Shown to servers that want one; both or neither.
  std::string certificate_file, key_file;
  std::string server_name;  // of the server's certificate; empty: the address's host
};

// `address` with what the options say of TLS. INVALID_ARGUMENT names the option that is missing.
absl::StatusOr<config::v1::Endpoint> EndpointAt(const std::string& address,
                                                const ClientOptions& options);

// A pool's answer, decoded.
struct Answer {
  std::vector<Tensor> outputs;
  std::map<std::string, ParameterValue> parameters;

  // A parameter as text or number; empty or `otherwise` where it is absent or of another type.
  std::string Text(const std::string& name) const;
  double Number(const std::string& name, double otherwise) const;
  const Tensor* Output(absl::string_view name) const;
};

absl::StatusOr<Answer> DecodeAnswer(const InferReply& reply);

// A client of a gateway (or a router, or any OIP server), one call at a time or many.
class PoolClient {
 public:
  // INVALID_ARGUMENT names the option that is wrong.
  static absl::StatusOr<std::unique_ptr<PoolClient>> Create(const ClientOptions& options);

  // UNAVAILABLE when the target does not serve within `patience`.
  absl::Status WaitUntilHealthy(absl::Duration patience);
  absl::StatusOr<Answer> Infer(const InferRequest& request, absl::Duration timeout);
  // Credentials, for calls made on `target()` itself.
  const Metadata& metadata() const { return metadata_; }
  GrpcInferTarget& target() { return *target_; }
  v1::Routing::Stub& routing() { return *routing_; }
  // Adds deadline and credentials to a call of a stub.
  void Prepare(grpc::ClientContext& context, absl::Duration timeout) const;
  // What a call of `routing()` came to; of a router that does not trust its caller, whom to ask
  // too.
  absl::Status OfRouting(const grpc::Status& status) const;

 private:
  PoolClient() : queues_(1) {}

  ClientQueues queues_;
  Metadata metadata_;
  std::shared_ptr<GrpcInferTarget> target_;
  std::unique_ptr<v1::Routing::Stub> routing_;
  std::string asked_;  // the address
};

}  // namespace penstock::cli
