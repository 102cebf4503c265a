#pragma once

#include "common/net/oip/oip_control.h"
#include "expert_service/execution/executor.h"
#include "expert_service/models/live_repository.h"
#include "expert_service/oip/model_loader.h"
#include "expert_service/oip/readiness.h"

namespace penstock::expert {

// What the service says about its models in OIP's and Triton's words.
class ExpertOipControl final : public OipControl {
 public:
  // `loader`: loads and unloads models.
  ExpertOipControl(const LiveRepository& models, ModelLoader& loader, Executor& executor,
                   const Readiness& readiness)
      : models_(models), loader_(loader), executor_(executor), readiness_(readiness) {}

  void ServerReady(const ControlContext& context, const inference::ServerReadyRequest& request,
                   inference::ServerReadyResponse& response, ControlDone done) override;
  void ModelReady(const ControlContext& context, const inference::ModelReadyRequest& request,
                  inference::ModelReadyResponse& response, ControlDone done) override;
  void ServerMetadata(const ControlContext& context,
                      const inference::ServerMetadataRequest& request,
                      inference::ServerMetadataResponse& response, ControlDone done) override;
  void ModelMetadata(const ControlContext& context, const inference::ModelMetadataRequest& request,
                     inference::ModelMetadataResponse& response, ControlDone done) override;
  void ModelConfig(const ControlContext& context, const inference::ModelConfigRequest& request,
                   inference::ModelConfigResponse& response, ControlDone done) override;
  void ModelStatistics(const ControlContext& context,
                       const inference::ModelStatisticsRequest& request,
                       inference::ModelStatisticsResponse& response, ControlDone done) override;
  void RepositoryIndex(const ControlContext& context,
                       const inference::RepositoryIndexRequest& request,
                       inference::RepositoryIndexResponse& response, ControlDone done) override;
  void RepositoryModelLoad(const ControlContext& context,
                           const inference::RepositoryModelLoadRequest& request,
                           inference::RepositoryModelLoadResponse& response,
                           ControlDone done) override;
  void RepositoryModelUnload(const ControlContext& context,
                             const inference::RepositoryModelUnloadRequest& request,
                             inference::RepositoryModelUnloadResponse& response,
                             ControlDone done) override;

 private:
  const LiveRepository& models_;
  ModelLoader& loader_;
  Executor& executor_;
  const Readiness& readiness_;
};

}  // namespace penstock::expert
