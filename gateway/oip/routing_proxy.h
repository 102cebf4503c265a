#pragma once

#include <memory>

#include "common/net/oip/open_streams.h"
#include "common/net/rpc/rpc_service.h"
#include "common/time/clock.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/identity/authenticator.h"
#include "gateway/oip/decision_merge.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::gateway {

// penstock.v1.Routing at the gateway: identity, rights, then a router. A report goes to every
// router, since the one that decided knows the decision; decisions are watched at every router.
class RoutingProxy final : public RpcService {
 public:
  struct Deps {
    const RouterSet& routers;
    const Authenticator& authenticator;
    const Clock& clock;
  };
  explicit RoutingProxy(Deps deps);
  // Ends the streams that are open: the drain does not wait for their clients.
  void EndStreams() { merges_.EndAll(); }

 private:
  // Which routers are asked, and when their answers hold.
  enum class Ask { kFirst, kAllNeedOne, kAllNeedAll };
  template <class Request, class Response, class PoolOf>
  void Proxy(const char* path, PoolOf pool_of, bool needs_admin, Ask ask);
  void WatchDecisions(std::unique_ptr<RpcArrival> arrival,
                      const v1::WatchDecisionsRequest& request);

  const Deps deps_;
  OpenStreams<DecisionMerge> merges_;
};

}  // namespace penstock::gateway
