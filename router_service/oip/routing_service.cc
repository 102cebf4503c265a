#include "router_service/oip/routing_service.h"

#include <type_traits>

#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "common/net/rpc/rpc_service.h"
#include "common/status_macros.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/caller_identity.h"
#include "router_service/dispatch/choice/exploration.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/guards/score_precision.h"
#include "router_service/oip/audit_record.h"
#include "router_service/oip/pool_status.h"

namespace penstock::router {
namespace {

template <class Request>
constexpr bool kNeedsAdmin = std::is_same_v<Request, v1::GetShadowRequest> ||
                             std::is_same_v<Request, v1::PromoteRequest>;

}  // namespace

class RoutingService::Handler final : public RpcService {
 public:
  Handler(const PoolCatalogue& catalogue, const RequestPipeline& pipeline,
          const BudgetCalls& budgets, DecisionLog& log, ShadowTrials& trials,
          DecisionStreams& streams)
      : catalogue_(catalogue),
        pipeline_(pipeline),
        budgets_(budgets),
        log_(log),
        trials_(trials),
        streams_(streams) {
#define PENSTOCK_ROUTING_RPC(Rpc)                                                            \
  AddUnary<v1::Rpc##Request, v1::Rpc##Response>(                                             \
      "/penstock.v1.Routing/" #Rpc,                                                          \
      [this](const ControlContext& context, const v1::Rpc##Request& request,                 \
             v1::Rpc##Response& response, ControlDone done) {                                \
        const absl::Status status = Rpc(context, request, response);                         \
        if constexpr (kNeedsAdmin<v1::Rpc##Request>) Audit(context, #Rpc, request, status);  \
        done(status);                                                                        \
      });

    PENSTOCK_ROUTING_RPC(Explain)
    PENSTOCK_ROUTING_RPC(Report)
    PENSTOCK_ROUTING_RPC(ListPools)
    PENSTOCK_ROUTING_RPC(ListExperts)
    PENSTOCK_ROUTING_RPC(GetBudget)
    PENSTOCK_ROUTING_RPC(GetShadow)
    PENSTOCK_ROUTING_RPC(Promote)
    PENSTOCK_ROUTING_RPC(GetPlan)

#undef PENSTOCK_ROUTING_RPC
    // Those that may wait for the store that routers share.
    AddAdmin<v1::SetBudgetRequest, v1::SetBudgetResponse>(
        "/penstock.v1.Routing/SetBudget", "SetBudget", "set budgets",
        [this](const CallerIdentity& caller, const ControlContext& context,
               const v1::SetBudgetRequest& request, v1::SetBudgetResponse& response,
               ControlDone done) {
          budgets_.Set(caller, request, context.deadline, response, std::move(done));
        });
    AddAdmin<v1::GetUsageRequest, v1::GetUsageResponse>(
        "/penstock.v1.Routing/GetUsage", "GetUsage", "see usage",
        [this](const CallerIdentity& caller, const ControlContext& context,
               const v1::GetUsageRequest& request, v1::GetUsageResponse& response,
               ControlDone done) {
          budgets_.GetUsage(caller, request, context.deadline, response, std::move(done));
        });
    AddServerStream<v1::WatchDecisionsRequest>(
        "/penstock.v1.Routing/WatchDecisions",
        [this](std::unique_ptr<RpcArrival> arrival, const v1::WatchDecisionsRequest& request) {
          const ControlContext context =
              MakeControlContext(arrival->context(), arrival->callers());
          const absl::Status allowed = MayWatch(context, request);
          Audit(context, "WatchDecisions", request, allowed);
          if (allowed.ok()) {
            streams_.Open(std::move(arrival), request.pool());
          } else {
            RefusedRpc::Open(std::move(arrival), ToGrpcStatus(allowed));
          }
        });
  }

 private:
  // A method for administrators, written down once it is done.
  template <class Request, class Response, class Method>
  void AddAdmin(const char* path, const char* name, const char* what, Method method) {
    AddUnary<Request, Response>(
        path, [this, name, what, method](const ControlContext& context, const Request& request,
                                         Response& response, ControlDone done) {
          done = [this, name, &context, &request,
                  done = std::move(done)](const absl::Status& status) mutable {
            Audit(context, name, request, status);
            done(status);
          };
          const absl::StatusOr<CallerIdentity> caller = Admin(context, what);
          if (!caller.ok()) return done(caller.status());
          method(*caller, context, request, response, std::move(done));
        });
  }

  absl::Status Explain(const ControlContext& context, const v1::ExplainRequest& request,
      v1::ExplainResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    PENSTOCK_ASSIGN_OR_RETURN(
        *response.mutable_decision(),
        pipeline_.Explain(Bytes(request.request().SerializeAsString()), context.deadline,
                          context.metadata, context.caller));
    if (!caller.rights.admin) {
      CoarsenScores(*response.mutable_decision());
      response.mutable_decision()->clear_shadow_expert();
    }
    return absl::OkStatus();
  }

  absl::Status Report(const ControlContext& context, const v1::ReportRequest& request,
      v1::ReportResponse&) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    // An administrator reports for everybody.
    SharedDecision first;
    PENSTOCK_RETURN_IF_ERROR(log_.Report(request.decision_id(), request.quality(),
                                         caller.rights.admin ? "" : caller.tenant, &first));
    if (first != nullptr) {
      trials_.Reported(*first);
      LearnFromReport(catalogue_, *first);
    }
    return absl::OkStatus();
  }

  absl::Status ListPools(const ControlContext& context, const v1::ListPoolsRequest&,
      v1::ListPoolsResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    for (const auto& pool : catalogue_.All()) {
      if (!caller.rights.MayCall(pool->name())) continue;
      DescribePool(*pool, budgets_.PricePerJoule(pool->name()), *response.add_pools());
    }
    return absl::OkStatus();
  }

  absl::Status ListExperts(const ControlContext& context, const v1::ListExpertsRequest& request,
      v1::ListExpertsResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    if (!request.pool().empty()) {
      PENSTOCK_ASSIGN_OR_RETURN(const auto pool, FindPool(catalogue_, request.pool(), "", caller));
      DescribeExperts(*pool, response);
    } else {
      for (const auto& pool : catalogue_.All()) {
        if (caller.rights.MayCall(pool->name())) DescribeExperts(*pool, response);
      }
    }
    if (!caller.rights.admin) CoarsenScores(response);
    return absl::OkStatus();
  }

  absl::Status GetBudget(const ControlContext& context, const v1::GetBudgetRequest& request,
      v1::GetBudgetResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    return budgets_.Get(caller, request, response);
  }

  absl::Status GetPlan(const ControlContext& context, const v1::GetPlanRequest& request,
      v1::GetPlanResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Trusted(context));
    PENSTOCK_ASSIGN_OR_RETURN(const auto pool, FindPool(catalogue_, request.pool(), "", caller));
    PENSTOCK_RETURN_IF_ERROR(DescribePlan(*pool, response));
    if (!caller.rights.admin) CoarsenScores(response);
    return absl::OkStatus();
  }

  absl::Status GetShadow(const ControlContext& context, const v1::GetShadowRequest& request,
      v1::GetShadowResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Admin(context, "see shadows"));
    PENSTOCK_ASSIGN_OR_RETURN(const auto pool, FindPool(catalogue_, request.pool(), "", caller));
    ShadowTrials::Describe(*pool, *response.mutable_shadow());
    return absl::OkStatus();
  }

  absl::Status Promote(const ControlContext& context, const v1::PromoteRequest& request,
      v1::PromoteResponse& response) {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Admin(context, "promote"));
    PENSTOCK_RETURN_IF_ERROR(FindPool(catalogue_, request.pool(), "", caller).status());
    PENSTOCK_ASSIGN_OR_RETURN(
        PoolCatalogue::Promotion promotion,
        trials_.Promote(request.pool(), request.version(), PromotedBy::kCommand));
    response.set_live_version(std::move(promotion.live_version));
    response.set_previous_version(std::move(promotion.previous_version));
    return absl::OkStatus();
  }

  absl::Status MayWatch(const ControlContext& context,
                        const v1::WatchDecisionsRequest& request) const {
    PENSTOCK_ASSIGN_OR_RETURN(const CallerIdentity caller, Admin(context, "watch decisions"));
    if (request.pool().empty()) return absl::OkStatus();
    return FindPool(catalogue_, request.pool(), "", caller).status();
  }

  // Strangers' calls say nothing of who asked, and there may be any number of them.
  void Audit(const ControlContext& context, const char* method,
             const google::protobuf::Message& request, const absl::Status& status) {
    if (context.caller.trusted) log_.AppendAudit(AuditOf(context, method, request, status));
  }

  static absl::StatusOr<CallerIdentity> Trusted(const ControlContext& control) {
    if (!control.caller.trusted) {
      return absl::PermissionDeniedError(
          "penstock.v1.Routing answers gateways and other trusted callers only");
    }
    return IdentifyCaller(control.metadata, control.caller);
  }
  static absl::StatusOr<CallerIdentity> Admin(const ControlContext& context,
                                              absl::string_view what) {
    PENSTOCK_ASSIGN_OR_RETURN(CallerIdentity caller, Trusted(context));
    if (!caller.rights.admin) {
      return absl::PermissionDeniedError(
          absl::StrCat("tenant ", caller.tenant, " may not ", what, ": it needs the admin right"));
    }
    return caller;
  }

  const PoolCatalogue& catalogue_;
  const RequestPipeline& pipeline_;
  const BudgetCalls& budgets_;
  DecisionLog& log_;
  ShadowTrials& trials_;
  DecisionStreams& streams_;
};

RoutingService::RoutingService(const PoolCatalogue& catalogue, const RequestPipeline& pipeline,
                               const BudgetCalls& budgets, DecisionLog& log,
                               ShadowTrials& trials)
    : streams_(log),
      handler_(std::make_unique<Handler>(catalogue, pipeline, budgets, log, trials, streams_)) {}

RoutingService::~RoutingService() = default;

RpcService& RoutingService::service() { return *handler_; }

}  // namespace penstock::router
