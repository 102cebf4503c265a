#pragma once

#include "common/net/oip/oip_control.h"
#include "router_service/oip/router_readiness.h"
#include "router_service/pools/pool_catalogue.h"

namespace penstock::router {

// What the router says of its pools, as models of the Open Inference Protocol. Trusted callers'
// rights decide which pools they see.
class RouterOipControl final : public OipControl {
 public:
  RouterOipControl(const PoolCatalogue& catalogue, const RouterReadiness& readiness)
      : catalogue_(catalogue), readiness_(readiness) {}

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

 private:
  const PoolCatalogue& catalogue_;
  const RouterReadiness& readiness_;
};

}  // namespace penstock::router
