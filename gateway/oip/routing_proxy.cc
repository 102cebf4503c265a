#include "gateway/oip/routing_proxy.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/net/grpc_status.h"
#include "gateway/oip/infer_forwarding.h"

namespace penstock::gateway {
namespace {

constexpr absl::Duration kControlTimeout = absl::Seconds(5);

template <typename Request, typename Response>
using Rpc = void (v1::Routing::Stub::async::*)(grpc::ClientContext*, const Request*, Response*,
                                               std::function<void(grpc::Status)>);

std::shared_ptr<grpc::ClientContext> ContextFor(const Principal& principal,
                                                const ControlContext& from) {
  auto context = std::make_shared<grpc::ClientContext>();
  for (const auto& [key, value] : TrustedMetadata(principal, from.metadata, "control")) {
    context->AddMetadata(key, value);
  }
  return context;
}

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

grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

// Whether a call to several routers holds when one of them did it, or only when all did.
enum class Needs { kOne, kAll };

// One call sent to several routers; answers when all have answered, with the first answer that is OK.
template <typename Response>
struct Gather {
  Mutex mutex;
  size_t awaited ABSL_GUARDED_BY(mutex);
  bool any ABSL_GUARDED_BY(mutex) = false;
  grpc::Status first_error ABSL_GUARDED_BY(mutex);
  const Needs needs;
  Response* response;
  grpc::ServerUnaryReactor* reactor;

  Gather(size_t count, Needs what, Response* out, grpc::ServerUnaryReactor* to)
      : awaited(count), needs(what), response(out), reactor(to) {}

  void Add(const grpc::Status& status, Response& part) {
    grpc::Status result;
    {
      MutexLock lock(mutex);
      if (status.ok() && !any) {
        any = true;
        response->Swap(&part);
      } else if (!status.ok() && first_error.ok()) {
        first_error = status;
      }
      if (--awaited > 0) return;
      const bool held = needs == Needs::kOne ? any : first_error.ok();
      result = held ? grpc::Status::OK : first_error;
    }
    reactor->Finish(result);
  }
};

template <typename Request, typename Response>
grpc::ServerUnaryReactor* Send(const std::vector<const Router*>& routers,
                               const Principal& principal, const ControlContext& from,
                               absl::Time deadline, Needs needs,
                               grpc::CallbackServerContext* context,
                               const Request* request, Response* response,
                               Rpc<Request, Response> rpc) {
  if (routers.empty()) return Refuse(context, absl::UnavailableError("no router is healthy"));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto gather = std::make_shared<Gather<Response>>(routers.size(), needs, response, reactor);
  for (const Router* router : routers) {
    auto out = ContextFor(principal, from);
    out->set_deadline(absl::ToChronoTime(deadline));
    auto part = std::make_shared<Response>();
    (router->routing->async()->*rpc)(
        out.get(), request, part.get(),
        [gather, out, part](grpc::Status status) { gather->Add(status, *part); });
  }
  return reactor;
}

std::vector<const Router*> FirstOf(std::vector<const Router*> routers) {
  if (routers.size() > 1) routers.resize(1);
  return routers;
}

}  // namespace

// Each RPC differs in whose pool it names, whether it needs the admin right, and whether one router or
// every router is asked.
#define PENSTOCK_PROXY(Name, pool, needs_admin, routers, needs)                                         \
  grpc::ServerUnaryReactor* RoutingProxy::Name(grpc::CallbackServerContext* context,             \
                                               const v1::Name##Request* request,                 \
                                               v1::Name##Response* response) {                   \
    const ControlContext from = MakeControlContext(*context, deps_.callers);                     \
    const auto principal = Admit(deps_.authenticator, from, pool, needs_admin);                  \
    if (!principal.ok()) return Refuse(context, principal.status());                             \
    const absl::Time deadline = std::min(from.deadline, deps_.clock.Now() + kControlTimeout);    \
    return Send<v1::Name##Request, v1::Name##Response>(routers, *principal, from, deadline,      \
                                                       needs, context, request, response,        \
                                                       &v1::Routing::Stub::async::Name);         \
  }

PENSTOCK_PROXY(Explain, request->request().model_name(), false, FirstOf(deps_.routers.Healthy()),
               Needs::kOne)
PENSTOCK_PROXY(Report, "", false, deps_.routers.Healthy(), Needs::kOne)
PENSTOCK_PROXY(ListPools, "", false, FirstOf(deps_.routers.Healthy()), Needs::kOne)
PENSTOCK_PROXY(ListExperts, request->pool(), false, FirstOf(deps_.routers.Healthy()), Needs::kOne)
PENSTOCK_PROXY(GetBudget, request->pool(), false, FirstOf(deps_.routers.Healthy()), Needs::kOne)
PENSTOCK_PROXY(SetBudget, request->pool(), true, deps_.routers.Healthy(), Needs::kAll)

#undef PENSTOCK_PROXY

grpc::ServerWriteReactor<v1::Decision>* RoutingProxy::WatchDecisions(
    grpc::CallbackServerContext* context, const v1::WatchDecisionsRequest* request) {
  const ControlContext from = MakeControlContext(*context, deps_.callers);
  const auto principal =
      Admit(deps_.authenticator, from, request->pool(), /*needs_admin=*/true);
  auto* merge = new DecisionMerge(merges_);
  if (!principal.ok()) {
    merge->Refuse(ToGrpcStatus(principal.status()));
    return merge;
  }
  for (const Router* router : deps_.routers.Healthy()) {
    merge->Watch(*router->routing, *request, ContextFor(*principal, from));
  }
  merge->Started();
  return merge;
}

}  // namespace penstock::gateway
