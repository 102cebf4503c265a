#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/net/infer_call.h"

namespace inference {
class ModelConfigRequest;
class ModelConfigResponse;
class ModelMetadataRequest;
class ModelMetadataResponse;
class ModelReadyRequest;
class ModelReadyResponse;
class ModelStatisticsRequest;
class ModelStatisticsResponse;
class RepositoryIndexRequest;
class RepositoryIndexResponse;
class RepositoryModelLoadRequest;
class RepositoryModelLoadResponse;
class RepositoryModelUnloadRequest;
class RepositoryModelUnloadResponse;
class ServerLiveRequest;
class ServerLiveResponse;
class ServerMetadataRequest;
class ServerMetadataResponse;
class ServerReadyRequest;
class ServerReadyResponse;
}  // namespace inference

namespace penstock {

// Who asks, and until when, for everything but ModelInfer.
struct ControlContext {
  Metadata metadata;
  Caller caller;
  absl::Time deadline = absl::InfiniteFuture();
};

using ControlDone = absl::AnyInvocable<void(absl::Status)>;

// What a service says about itself and its models. Called on the threads of the data path:
// must not block. `done` runs exactly once, on any thread, possibly before the method returns;
// context, request and response live until it has run.
class OipControl {
 public:
  virtual ~OipControl() = default;
  // Live whenever the process answers at all.
  virtual void ServerLive(const ControlContext& context,
                          const inference::ServerLiveRequest& request,
                          inference::ServerLiveResponse& response, ControlDone done);
  virtual void ServerReady(const ControlContext& context,
                           const inference::ServerReadyRequest& request,
                           inference::ServerReadyResponse& response, ControlDone done) = 0;
  virtual void ModelReady(const ControlContext& context,
                          const inference::ModelReadyRequest& request,
                          inference::ModelReadyResponse& response, ControlDone done) = 0;
  virtual void ServerMetadata(const ControlContext& context,
                              const inference::ServerMetadataRequest& request,
                              inference::ServerMetadataResponse& response, ControlDone done) = 0;
  virtual void ModelMetadata(const ControlContext& context,
                             const inference::ModelMetadataRequest& request,
                             inference::ModelMetadataResponse& response, ControlDone done) = 0;
  virtual void ModelConfig(const ControlContext& context,
                           const inference::ModelConfigRequest& request,
                           inference::ModelConfigResponse& response, ControlDone done) = 0;
  virtual void ModelStatistics(const ControlContext& context,
                               const inference::ModelStatisticsRequest& request,
                               inference::ModelStatisticsResponse& response, ControlDone done) = 0;
  virtual void RepositoryIndex(const ControlContext& context,
                               const inference::RepositoryIndexRequest& request,
                               inference::RepositoryIndexResponse& response, ControlDone done) = 0;
  // UNIMPLEMENTED where nothing can be loaded.
  virtual void RepositoryModelLoad(const ControlContext& context,
                                   const inference::RepositoryModelLoadRequest& request,
                                   inference::RepositoryModelLoadResponse& response,
                                   ControlDone done);
  virtual void RepositoryModelUnload(const ControlContext& context,
                                     const inference::RepositoryModelUnloadRequest& request,
                                     inference::RepositoryModelUnloadResponse& response,
                                     ControlDone done);
};

}  // namespace penstock
