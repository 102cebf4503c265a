#pragma once

#include "common/net/caller_policy.h"
#include "common/time/clock.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/identity/authenticator.h"
#include "gateway/oip/decision_merge.h"
#include "penstock/v1/routing.grpc.pb.h"

namespace penstock::gateway {

// penstock.v1.Routing at the gateway: identity, rights, then a router. A report goes to every router,
// since the one that decided knows the decision; decisions are watched at every router.
class RoutingProxy final : public v1::Routing::CallbackService {
 public:
  struct Deps {
    const RouterSet& routers;
    const Authenticator& authenticator;
    const CallerPolicy& callers;
    const Clock& clock;
  };
  explicit RoutingProxy(Deps deps) : deps_(deps) {}
  // Ends the streams that are open: the drain does not wait for their clients.
  void EndStreams() { merges_.EndAll(); }

  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context,
                                   const v1::ReportRequest* request,
                                   v1::ReportResponse* response) override;
  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* context,
                                      const v1::ListPoolsRequest* request,
                                      v1::ListPoolsResponse* response) override;
  grpc::ServerUnaryReactor* ListExperts(grpc::CallbackServerContext* context,
                                        const v1::ListExpertsRequest* request,
                                        v1::ListExpertsResponse* response) override;
  grpc::ServerUnaryReactor* GetBudget(grpc::CallbackServerContext* context,
                                      const v1::GetBudgetRequest* request,
                                      v1::GetBudgetResponse* response) override;
  grpc::ServerUnaryReactor* SetBudget(grpc::CallbackServerContext* context,
                                      const v1::SetBudgetRequest* request,
                                      v1::SetBudgetResponse* response) override;
  grpc::ServerWriteReactor<v1::Decision>* WatchDecisions(
      grpc::CallbackServerContext* context, const v1::WatchDecisionsRequest* request) override;

 private:
  const Deps deps_;
  DecisionMerges merges_;
};

}  // namespace penstock::gateway
