#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "common/net/oip/oip_control.h"
#include "common/time/clock.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/identity/authenticator.h"

namespace penstock::gateway {

// The protocol's RPCs beside ModelInfer: the routers own the pools' contracts, so the gateway asks
// one of them and keeps the answer for a while; statistics are the sums over all routers. Callers
// see the pools they may call.
class Catalogue final : public OipControl {
 public:
  struct Deps {
    const RouterSet& routers;
    const Authenticator& authenticator;
    const Clock& clock;
    absl::Duration ttl = absl::Seconds(1);
  };
  explicit Catalogue(Deps deps) : deps_(deps), ttl_(deps.ttl) {}

  // Of answers from here on.
  void SetTtl(absl::Duration ttl) {
    MutexLock lock(mutex_);
    ttl_ = ttl;
  }

  // Whether a router serves.
  void SetReady(bool ready) { ready_.store(ready, std::memory_order_relaxed); }
  // Never ready again.
  void SetDraining() { draining_.store(true, std::memory_order_relaxed); }

  void ServerReady(const ControlContext& context, const inference::ServerReadyRequest& request,
                   inference::ServerReadyResponse& response, ControlDone done) override;
  void ModelReady(const ControlContext& context, const inference::ModelReadyRequest& request,
                  inference::ModelReadyResponse& response, ControlDone done) override;
  void ServerMetadata(const ControlContext& context,
                      const inference::ServerMetadataRequest& request,
                      inference::ServerMetadataResponse& response, ControlDone done) override;
  void ModelMetadata(const ControlContext& context, const inference::ModelMetadataRequest& request,
                     inference::ModelMetadataResponse& response, ControlDone done) override;
  void ModelConfig(const ControlContext& context, const inference::ModelConfigRequest& request,
                   inference::ModelConfigResponse& response, ControlDone done) override;
  void ModelStatistics(const ControlContext& context,
                       const inference::ModelStatisticsRequest& request,
                       inference::ModelStatisticsResponse& response, ControlDone done) override;
  void RepositoryIndex(const ControlContext& context,
                       const inference::RepositoryIndexRequest& request,
                       inference::RepositoryIndexResponse& response, ControlDone done) override;

 private:
  struct Kept {
    std::string response;
    absl::Time until;
  };
  // Asks one healthy router through `method` of OipControlClient unless the answer to `key` is
  // kept.
  template <typename Request, typename Response, typename Method>
  void Ask(const std::string& key, const ControlContext& context, const Request& request,
           Response& response, Method method, ControlDone done);
  bool FindKept(const std::string& key, google::protobuf::Message& response) const;
  void Keep(const std::string& key, const google::protobuf::Message& response);

  const Deps deps_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};
  mutable Mutex mutex_;
  absl::Duration ttl_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
