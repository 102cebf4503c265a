#include "gateway/oip/routing_proxy.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/net/admin_audit.h"
#include "common/net/grpc_status.h"
#include "gateway/oip/infer_forwarding.h"

namespace penstock::gateway {
namespace {

constexpr absl::Duration kControlTimeout = absl::Seconds(5);

absl::StatusOr<Principal> Admit(const Authenticator& authenticator, const ControlContext& context,
                                const std::string& pool, bool needs_admin) {
  absl::StatusOr<Principal> principal = authenticator.Admit(context.metadata, pool);
  if (!principal.ok() || !needs_admin) return principal;
  if (!principal->rights.admin) {
    return absl::PermissionDeniedError(
        absl::StrCat("tenant ", principal->tenant, " lacks the admin right"));
  }
  // No pool means all pools.
  if (pool.empty() && !principal->rights.pools.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("tenant ", principal->tenant, " administers some pools: name one"));
  }
  return principal;
}

// What the audit says of a call, be it allowed or not. Nothing: a stranger's, which does not tell who
// asked, and of which there may be any number.
template <class Request>
std::optional<AdminCall> Audited(const Authenticator& authenticator, const ControlContext& from,
                                 const char* method, const Request& request) {
  const auto principal = authenticator.Admit(from.metadata, "");
  if (!principal.ok()) return std::nullopt;
  AdminCall call;
  call.method = method;
  call.tenant = principal->tenant;
  call.credential = principal->credential;
  call.caller = from.caller;
  call.arguments = request.ShortDebugString();
  return call;
}

// Whether `other` says more than `first`, of one call to several routers.
template <typename Response>
bool SaysMore(const Response& /*other*/, const Response& /*first*/) {
  return false;
}
// What one of them wrote into the store that they share is there for all.
bool SaysMore(const v1::SetBudgetResponse& other, const v1::SetBudgetResponse& first) {
  return other.sharing() == v1::SetBudgetResponse::SHARED &&
         first.sharing() != v1::SetBudgetResponse::SHARED;
}

// One call sent to several routers; answers when all have answered, with the first answer that is OK,
// or a later one that says more.
template <typename Response>
class Gather {
 public:
  // `all`: holds only when every router did it.
  Gather(size_t count, bool all, Response& response, ControlDone done)
      : awaited_(count), all_(all), response_(response), done_(std::move(done)) {}

  void Add(absl::StatusOr<Response> answer) {
    absl::Status result;
    {
      MutexLock lock(mutex_);
      if (answer.ok() && (!any_ || SaysMore(*answer, response_))) {
        any_ = true;
        response_.Swap(&*answer);
      } else if (!answer.ok() && first_error_.ok()) {
        first_error_ = answer.status();
      }
      if (--awaited_ > 0) return;
      const bool held = all_ ? first_error_.ok() : any_;
      if (!held) result = first_error_;
    }
    done_(result);
  }

 private:
  Mutex mutex_;
  size_t awaited_ ABSL_GUARDED_BY(mutex_);
  bool any_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  const bool all_;
  Response& response_;
  ControlDone done_;
};

CallOptions OptionsFor(const Principal& principal, const ControlContext& from) {
  CallOptions options;
  options.metadata = TrustedMetadata(principal, from.metadata, "control");
  options.metadata.emplace_back(kCredentialMetadata, principal.credential);
  return options;
}

template <class Request>
const std::string& PoolOf(const Request& request) {
  return request.pool();
}

template <class Request>
std::string NoPool(const Request& /*request*/) {
  return "";
}

}  // namespace

RoutingProxy::RoutingProxy(Deps deps) : deps_(deps) {
  Proxy<v1::ExplainRequest, v1::ExplainResponse>(
      "/penstock.v1.Routing/Explain",
      [](const v1::ExplainRequest& request) { return request.request().model_name(); }, false,
      Ask::kFirst);
  Proxy<v1::ReportRequest, v1::ReportResponse>("/penstock.v1.Routing/Report",
                                               NoPool<v1::ReportRequest>, false, Ask::kAllNeedOne);
  Proxy<v1::ListPoolsRequest, v1::ListPoolsResponse>(
      "/penstock.v1.Routing/ListPools", NoPool<v1::ListPoolsRequest>, false, Ask::kFirst);
  Proxy<v1::ListExpertsRequest, v1::ListExpertsResponse>(
      "/penstock.v1.Routing/ListExperts", PoolOf<v1::ListExpertsRequest>, false, Ask::kFirst);
  Proxy<v1::GetBudgetRequest, v1::GetBudgetResponse>(
      "/penstock.v1.Routing/GetBudget", PoolOf<v1::GetBudgetRequest>, false, Ask::kFirst);
  Proxy<v1::GetPlanRequest, v1::GetPlanResponse>("/penstock.v1.Routing/GetPlan",
                                                 PoolOf<v1::GetPlanRequest>, false, Ask::kFirst);
  Proxy<v1::SetBudgetRequest, v1::SetBudgetResponse>(
      "/penstock.v1.Routing/SetBudget", PoolOf<v1::SetBudgetRequest>, true, Ask::kAllNeedAll);
  // Of one: it knows what all have told the store, and a page goes on where the last one of it ended.
  Proxy<v1::GetUsageRequest, v1::GetUsageResponse>(
      "/penstock.v1.Routing/GetUsage", PoolOf<v1::GetUsageRequest>, true, Ask::kFirst);
  Proxy<v1::GetShadowRequest, v1::GetShadowResponse>(
      "/penstock.v1.Routing/GetShadow", PoolOf<v1::GetShadowRequest>, true, Ask::kFirst);
  Proxy<v1::PromoteRequest, v1::PromoteResponse>(
      "/penstock.v1.Routing/Promote", PoolOf<v1::PromoteRequest>, true, Ask::kAllNeedAll);
  AddServerStream<v1::WatchDecisionsRequest>(
      kWatchDecisions,
      [this](std::unique_ptr<RpcArrival> arrival, const v1::WatchDecisionsRequest& request) {
        WatchDecisions(std::move(arrival), request);
      });
}

template <class Request, class Response, class PoolOf>
void RoutingProxy::Proxy(const char* path, PoolOf pool_of, bool needs_admin, Ask ask) {
  AddUnary<Request, Response>(
      path, [this, path, pool_of, needs_admin, ask](const ControlContext& from,
                                                    const Request& request, Response& response,
                                                    ControlDone done) {
        if (needs_admin) {
          done = [call = Audited(deps_.authenticator, from, path, request),
                  done = std::move(done)](const absl::Status& status) mutable {
            if (call.has_value()) AuditAdminCall(*call, status);
            done(status);
          };
        }
        const auto principal = Admit(deps_.authenticator, from, pool_of(request), needs_admin);
        if (!principal.ok()) return done(principal.status());
        auto routers = deps_.routers.Healthy();
        if (routers.empty()) return done(absl::UnavailableError("no router is healthy"));
        if (ask == Ask::kFirst) routers.resize(1);
        CallOptions options = OptionsFor(*principal, from);
        options.deadline = std::min(from.deadline, deps_.clock.Now() + kControlTimeout);
        auto gather = std::make_shared<Gather<Response>>(
            routers.size(), ask == Ask::kAllNeedAll, response, std::move(done));
        for (const auto& router : routers) {
          router->target->rpc().Call<Response>(
              path, request, options,
              [gather](absl::StatusOr<Response> answer) { gather->Add(std::move(answer)); });
        }
      });
}

void RoutingProxy::WatchDecisions(std::unique_ptr<RpcArrival> arrival,
                                  const v1::WatchDecisionsRequest& request) {
  const ControlContext from = MakeControlContext(arrival->context(), arrival->callers());
  const auto principal =
      Admit(deps_.authenticator, from, request.pool(), /*needs_admin=*/true);
  if (const auto call = Audited(deps_.authenticator, from, kWatchDecisions, request)) {
    AuditAdminCall(*call, principal.status());
  }
  if (!principal.ok()) {
    RefusedRpc::Open(std::move(arrival), ToGrpcStatus(principal.status()));
    return;
  }
  auto merge = std::make_shared<DecisionMerge>(std::move(arrival), merges_);
  merge->Begin();
  const Bytes watch(request.SerializeAsString());
  for (const auto& router : deps_.routers.Healthy()) {
    merge->Watch(router->target->rpc(), watch, OptionsFor(*principal, from));
  }
  merge->Started();
}

}  // namespace penstock::gateway
