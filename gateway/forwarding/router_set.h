#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_control_client.h"

namespace penstock::gateway {

// One router as the gateway reaches it: ModelInfer and other methods, and the protocol's other RPCs.
struct Router {
  std::shared_ptr<GrpcInferTarget> target;
  std::unique_ptr<OipControlClient> control;
};

// The routers of the configuration, connected. Fixed for the life of the gateway.
class RouterSet {
 public:
  explicit RouterSet(std::vector<std::shared_ptr<GrpcInferTarget>> targets) {
    for (std::shared_ptr<GrpcInferTarget>& target : targets) {
      auto control = std::make_unique<OipControlClient>(target->rpc());
      routers_.push_back({std::move(target), std::move(control)});
    }
  }

  const std::vector<Router>& all() const { return routers_; }
  // Those that serve, in the configuration's order.
  std::vector<const Router*> Healthy() const {
    std::vector<const Router*> healthy;
    for (const Router& router : routers_) {
      if (router.target->healthy()) healthy.push_back(&router);
    }
    return healthy;
  }
  std::vector<InferTarget*> Targets() const {
    std::vector<InferTarget*> targets;
    for (const Router& router : routers_) targets.push_back(router.target.get());
    return targets;
  }

 private:
  std::vector<Router> routers_;
};

}  // namespace penstock::gateway
