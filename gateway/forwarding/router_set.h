#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "common/net/grpc_infer_target.h"
#include "common/net/oip_control_client.h"
#include "penstock/v1/routing.grpc.pb.h"

namespace penstock::gateway {

// One router as the gateway reaches it: ModelInfer, the protocol's other RPCs, and penstock.v1.Routing.
struct Router {
  std::shared_ptr<GrpcInferTarget> target;
  std::unique_ptr<OipControlClient> control;
  std::unique_ptr<v1::Routing::Stub> routing;
};

// The routers of the configuration, connected. Fixed for the life of the gateway.
class RouterSet {
 public:
  explicit RouterSet(std::vector<std::shared_ptr<GrpcInferTarget>> targets) {
    for (std::shared_ptr<GrpcInferTarget>& target : targets) {
      const auto channel = target->channel();
      routers_.push_back({std::move(target), std::make_unique<OipControlClient>(channel),
                          v1::Routing::NewStub(channel)});
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
