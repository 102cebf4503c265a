#pragma once

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/net/infer_call.h"
#include "common/net/rpc/rpc_client.h"
#include "inference/grpc_service.pb.h"

namespace penstock {

template <typename Response>
using ControlReply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

// What another OIP server says about itself and its models. `done` runs exactly once, on a thread
// of the queues: it must not block. The client may be destroyed before.
class OipControlClient {
 public:
  explicit OipControlClient(RpcClient rpc) : rpc_(std::move(rpc)) {}

  void ServerLive(CallOptions options, ControlReply<inference::ServerLiveResponse> done);
  void ServerReady(CallOptions options, ControlReply<inference::ServerReadyResponse> done);
  void ServerMetadata(CallOptions options, ControlReply<inference::ServerMetadataResponse> done);
  void ModelReady(const inference::ModelReadyRequest& request, CallOptions options,
                  ControlReply<inference::ModelReadyResponse> done);
  void ModelMetadata(const inference::ModelMetadataRequest& request, CallOptions options,
                     ControlReply<inference::ModelMetadataResponse> done);
  void ModelConfig(const inference::ModelConfigRequest& request, CallOptions options,
                   ControlReply<inference::ModelConfigResponse> done);
  void ModelStatistics(const inference::ModelStatisticsRequest& request, CallOptions options,
                       ControlReply<inference::ModelStatisticsResponse> done);
  void RepositoryIndex(const inference::RepositoryIndexRequest& request, CallOptions options,
                       ControlReply<inference::RepositoryIndexResponse> done);

 private:
  const RpcClient rpc_;
};

}  // namespace penstock
