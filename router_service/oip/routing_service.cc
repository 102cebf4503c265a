#include "router_service/oip/routing_service.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "common/status_macros.h"
#include "penstock/v1/routing.grpc.pb.h"
#include "router_service/dispatch/caller_identity.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/oip/pool_status.h"

namespace penstock::router {
namespace {

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace

class RoutingService::Handler final : public v1::Routing::CallbackService {
 public:
  Handler(const PoolCatalogue& catalogue, const RequestPipeline& pipeline, BudgetPacer& pacer,
          DecisionLog& log, const CallerPolicy& callers, DecisionStreams& streams)
      : catalogue_(catalogue),
        pipeline_(pipeline),
        pacer_(pacer),
        log_(log),
        callers_(callers),
        streams_(streams) {}

  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override {
    return Answer(context, [&]() -> absl::Status {
      const ControlContext control = MakeControlContext(*context, callers_);
      PENSTOCK_RETURN_IF_ERROR(Trusted(control).status());
      PENSTOCK_ASSIGN_OR_RETURN(
          *response->mutable_decision(),
          pipeline_.Explain(Bytes(request->request().SerializeAsString()), control.deadline,
                            control.metadata, control.caller));
      return absl::OkStatus();
    }());
  }

  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context,
                                   const v1::ReportRequest* request,
                                   v1::ReportResponse*) override {
    return Answer(context, [&]() -> absl::Status {
      PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(*context));
      // An administrator reports for everybody.
      return log_.Report(request->decision_id(), request->quality(),
                         caller.rights.admin ? "" : caller.tenant);
    }());
  }

  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* context,
                                      const v1::ListPoolsRequest*,
                                      v1::ListPoolsResponse* response) override {
    return Answer(context, [&]() -> absl::Status {
      PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(*context));
      for (const auto& pool : catalogue_.All()) {
        if (!caller.rights.MayCall(pool->name())) continue;
        DescribePool(*pool, pacer_.PricePerJoule(pool->name()), *response->add_pools());
      }
      return absl::OkStatus();
    }());
  }

  grpc::ServerUnaryReactor* ListExperts(grpc::CallbackServerContext* context,
                                        const v1::ListExpertsRequest* request,
                                        v1::ListExpertsResponse* response) override {
    return Answer(context, [&]() -> absl::Status {
      PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(*context));
      if (!request->pool().empty()) {
        PENSTOCK_ASSIGN_OR_RETURN(const auto pool, FindPool(catalogue_, request->pool(), "", caller));
        DescribeExperts(*pool, *response);
        return absl::OkStatus();
      }
      for (const auto& pool : catalogue_.All()) {
        if (caller.rights.MayCall(pool->name())) DescribeExperts(*pool, *response);
      }
      return absl::OkStatus();
    }());
  }

  grpc::ServerUnaryReactor* GetBudget(grpc::CallbackServerContext* context,
                                      const v1::GetBudgetRequest* request,
                                      v1::GetBudgetResponse* response) override {
    return Answer(context, [&]() -> absl::Status {
      PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(*context));
      if (!request->pool().empty()) {
        PENSTOCK_RETURN_IF_ERROR(FindPool(catalogue_, request->pool(), "", caller).status());
      }
      if (!request->tenant().empty() && request->tenant() != caller.tenant &&
          !caller.rights.admin) {
        return absl::PermissionDeniedError(absl::StrCat("tenant ", caller.tenant,
                                                        " may not see budgets of tenant ",
                                                        request->tenant()));
      }
      for (v1::BudgetStatus& budget : pacer_.List(request->pool(), request->tenant())) {
        *response->add_budgets() = std::move(budget);
      }
      return absl::OkStatus();
    }());
  }

  grpc::ServerUnaryReactor* SetBudget(grpc::CallbackServerContext* context,
                                      const v1::SetBudgetRequest* request,
                                      v1::SetBudgetResponse*) override {
    return Answer(context, [&]() -> absl::Status {
      PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Admin(*context, "set budgets"));
      if (!request->pool().empty()) {
        PENSTOCK_RETURN_IF_ERROR(FindPool(catalogue_, request->pool(), "", caller).status());
      }
      return pacer_.SetBudget(request->pool(), request->budget());
    }());
  }

  grpc::ServerWriteReactor<v1::Decision>* WatchDecisions(
      grpc::CallbackServerContext* context, const v1::WatchDecisionsRequest* request) override {
    const auto caller = Admin(*context, "watch decisions");
    if (!caller.ok()) return DecisionStreams::Refuse(caller.status());
    if (!request->pool().empty()) {
      const auto pool = FindPool(catalogue_, request->pool(), "", *caller);
      if (!pool.ok()) return DecisionStreams::Refuse(pool.status());
    }
    return streams_.Open(request->pool());
  }

 private:
  static absl::StatusOr<CallerIdentity> Trusted(const ControlContext& control) {
    if (!control.caller.trusted) {
      return absl::PermissionDeniedError(
          "penstock.v1.Routing answers gateways and other trusted callers only");
    }
    return IdentifyCaller(control.metadata, control.caller);
  }
  absl::StatusOr<CallerIdentity> Trusted(const grpc::CallbackServerContext& context) const {
    return Trusted(MakeControlContext(context, callers_));
  }
  absl::StatusOr<CallerIdentity> Admin(const grpc::CallbackServerContext& context,
                                       absl::string_view what) const {
    PENSTOCK_ASSIGN_OR_RETURN(CallerIdentity caller, Trusted(context));
    if (!caller.rights.admin) {
      return absl::PermissionDeniedError(
          absl::StrCat("tenant ", caller.tenant, " may not ", what, ": it needs the admin right"));
    }
    return caller;
  }

  const PoolCatalogue& catalogue_;
  const RequestPipeline& pipeline_;
  BudgetPacer& pacer_;
  DecisionLog& log_;
  const CallerPolicy& callers_;
  DecisionStreams& streams_;
};

RoutingService::RoutingService(const PoolCatalogue& catalogue, const RequestPipeline& pipeline,
                               BudgetPacer& pacer, DecisionLog& log, const CallerPolicy& callers)
    : streams_(log),
      handler_(std::make_unique<Handler>(catalogue, pipeline, pacer, log, callers, streams_)) {}

RoutingService::~RoutingService() = default;

grpc::Service& RoutingService::service() { return *handler_; }

}  // namespace penstock::router
