#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "inference/grpc_service.pb.h"
#include "penstock/config/v1/server.pb.h"
#include "penstock/v1/expert_control.pb.h"

namespace penstock::router {

// The address of the expert service of the same process.
inline constexpr char kInProcessExpert[] = "inprocess:expert";

// What a replica says of one model. Other people's servers have no description, and not all have a
// ModelConfig.
struct ReplicaFacts {
  inference::ModelMetadataResponse metadata;
  std::optional<inference::ModelConfig> config;
  std::optional<v1::ModelDescription> description;
  // Why there is no description, where the replica was asked for one and failed to say. UNIMPLEMENTED:
  // it never will.
  absl::Status described;
  double idle_watts = 0;  // of the device
};

// A channel to one endpoint.
class ReplicaConnection {
 public:
  virtual ~ReplicaConnection() = default;
  virtual InferTarget& target() = 0;
  // `done` runs exactly once, on any thread, also after the owner lost interest.
  virtual void Describe(const std::string& model, const std::string& version, absl::Duration timeout,
                        absl::AnyInvocable<void(absl::StatusOr<ReplicaFacts>)> done) = 0;
  // Whether the endpoint answers, and the model is ready there. `done` as above.
  virtual void Probe(const std::string& model, const std::string& version, absl::Duration timeout,
                     absl::AnyInvocable<void(absl::Status)> done) = 0;
  // Tells `sink` what the endpoint says of its load, now and then, while `listener` lives, which
  // the sink may borrow. It runs on any thread and must not block.
  virtual void WatchLoad(std::weak_ptr<const void> listener,
                         std::function<void(const v1::Load&)> sink) = 0;
};

// Makes connections; the one place where the router's core meets the network.
class ReplicaConnector {
 public:
  virtual ~ReplicaConnector() = default;
  // Does not wait for the endpoint. INVALID_ARGUMENT for an endpoint that cannot be.
  virtual absl::StatusOr<std::shared_ptr<ReplicaConnection>> Connect(
      const config::v1::Endpoint& endpoint) = 0;
  // One of the addresses of an endpoint that is a name, `dns:///NAME:PORT`; the server's
  // certificate is NAME's.
  virtual absl::StatusOr<std::shared_ptr<ReplicaConnection>> ConnectTo(
      const config::v1::Endpoint& endpoint, const std::string& address) = 0;
};

}  // namespace penstock::router
