#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/net/caller_policy.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_control.h"
#include "common/net/rpc/client_queues.h"
#include "penstock/config/v1/server.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

class RpcService;

struct OipServerOptions {
  // "gateway", "router", "expert": names the metrics penstock_<service>_{accepted,answered}_total.
  std::string service;
  config::v1::Server config;
  // Where `config.grpc` is empty. Empty too: listens nowhere, in-process channels only.
  std::string default_address;
  std::vector<std::string> trusted_names;
  bool trust_plaintext = false;
  // Where `config.connections.max_age` is unset.
  absl::Duration max_connection_age = absl::InfiniteDuration();
  // Messages of one ModelStreamInfer stream that are not answered yet; more are not read.
  int max_stream_outstanding = 256;
  // Null: nothing is exported.
  std::shared_ptr<prometheus::Registry> registry;
};

// One gRPC server with inference.GRPCInferenceService, grpc.health.v1, reflection, and a service's
// own services. ModelInfer and ModelStreamInfer end in one InferHandler; the rest in an OipControl;
// RPCs that neither has answer UNIMPLEMENTED.
//
// Life: Create (queues and threads run, nothing listens) -> build targets on `queues()` and
// handlers over them -> Start -> SetServing(true) -> Drain. Drain must have returned before
// handler, control and services are destroyed. The server outlives the targets built on its queues.
class OipServer {
 public:
  // INVALID_ARGUMENT names the field of the configuration that is wrong.
  static absl::StatusOr<std::unique_ptr<OipServer>> Create(OipServerOptions options);
  // Drains without grace if that was not done.
  ~OipServer();

  // Listens. NOT_SERVING until SetServing(true), but calls are taken at once. `end_streams` is
  // called by Drain after the grace and must make the services finish the streams that they hold
  // open, which would otherwise last until `drain.timeout`. UNAVAILABLE when the address cannot be
  // bound. Call once.
  absl::Status Start(InferHandler& handler, OipControl& control,
                     const std::vector<RpcService*>& services = {},
                     absl::AnyInvocable<void()> end_streams = {});
  // What grpc.health.v1 says for the whole server and for inference.GRPCInferenceService. No effect
  // once the drain has begun.
  void SetServing(bool serving);

  // NOT_SERVING at once; calls are still taken. Does not block.
  void BeginDrain();
  // BeginDrain, then takes calls for `drain.grace`, then takes no more and waits for those under
  // way, `drain.timeout` at most; what is left is cancelled. Blocks. Idempotent.
  void Drain();

  // HOST:PORT (the port that was bound), unix:PATH, or "-".
  const std::string& address() const;
  // A channel to this server that needs no socket; its callers are trusted. After Start.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // For GrpcInferTarget: calls that go out run on the threads that calls come in on.
  ClientQueues& queues();
  // For services registered at Start.
  const CallerPolicy& callers() const;

  // Calls (and stream messages) that the handler was given; those answered, or whose client had
  // gone.
  uint64_t accepted() const;
  uint64_t answered() const;

 private:
  struct State;
  explicit OipServer(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace penstock
