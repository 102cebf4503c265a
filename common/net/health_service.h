#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/mutex.h"
#include "common/net/oip/open_streams.h"
#include "common/net/rpc/rpc_service.h"
#include "grpc/health/v1/health.pb.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// grpc.health.v1 for the whole server ("") and for the services it is told of, and for "live", which
// serves for as long as the process runs, ready or draining. gRPC's own keeps its
// watchers' streams open while the server shuts down, which would make every drain last its
// time-out.
class HealthService final : public RpcService {
 public:
  using Response = grpc::health::v1::HealthCheckResponse;
  static constexpr char kLive[] = "live";

  explicit HealthService(std::set<std::string> services);

  void SetServing(bool serving);
  // Finishes the watchers' streams, those that are opened later too.
  void EndStreams();

 private:
  class Watcher;

  void Watch(std::unique_ptr<RpcArrival> arrival,
             const grpc::health::v1::HealthCheckRequest& request);
  Response::ServingStatus StatusOf(const std::string& service) const;

  const std::set<std::string> services_;
  mutable Mutex mutex_;
  Response::ServingStatus status_ ABSL_GUARDED_BY(mutex_) = Response::NOT_SERVING;
  OpenStreams<Watcher> watchers_;
};

}  // namespace penstock
