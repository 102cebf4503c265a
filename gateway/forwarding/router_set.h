#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "common/net/oip/grpc_infer_target.h"
#include "common/net/oip/oip_control_client.h"

namespace penstock::gateway {

// One router as the gateway reaches it: ModelInfer and other methods, and the protocol's other
// RPCs.
struct Router {
  explicit Router(std::shared_ptr<GrpcInferTarget> to)
      : target(std::move(to)), control(std::make_unique<OipControlClient>(target->rpc())) {}

  const std::shared_ptr<GrpcInferTarget> target;
  const std::unique_ptr<OipControlClient> control;
};

// The routers of the configuration, connected. Who has one keeps it, whatever the set becomes.
// Thread-safe.
class RouterSet {
 public:
  using Routers = std::vector<std::shared_ptr<const Router>>;

  explicit RouterSet(Routers routers) : routers_(std::move(routers)) {}

  void Set(Routers routers) {
    // Those that leave end outside the lock.
    MutexLock lock(mutex_);
    routers_.swap(routers);
  }
  Routers all() const {
    MutexLock lock(mutex_);
    return routers_;
  }
  // Those that serve, in the configuration's order.
  Routers Healthy() const {
    Routers healthy;
    for (std::shared_ptr<const Router>& router : all()) {
      if (router->target->healthy()) healthy.push_back(std::move(router));
    }
    return healthy;
  }

 private:
  mutable Mutex mutex_;
  Routers routers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
