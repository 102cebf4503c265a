#pragma once

#include <memory>

#include "router_service/dispatch/request_pipeline.h"
#include "router_service/dispatch/shadow/shadow_trials.h"
#include "router_service/oip/budget_calls.h"
#include "router_service/oip/decision_stream.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/recording/decision_log.h"

namespace penstock {
class RpcService;
}  // namespace penstock

namespace penstock::router {

// penstock.v1.Routing. Answers trusted callers only, each for its own pools and tenant.
class RoutingService {
 public:
  // All outlive the service.
  RoutingService(const PoolCatalogue& catalogue, const RequestPipeline& pipeline,
                 const BudgetCalls& budgets, DecisionLog& log, ShadowTrials& trials);
  ~RoutingService();

  RpcService& service();
  // Ends the watchers' streams, which no drain would wait for.
  void EndStreams() { streams_.EndAll(); }

 private:
  class Handler;

  DecisionStreams streams_;
  const std::unique_ptr<Handler> handler_;
};

}  // namespace penstock::router
