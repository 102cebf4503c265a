#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// grpc.health.v1 for the whole server ("") and for the services it is told of. gRPC's own keeps its
// watchers' streams open while the server shuts down, which would make every drain last its time-out.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  using Response = grpc::health::v1::HealthCheckResponse;

  explicit HealthService(std::set<std::string> services);

  void SetServing(bool serving);
  // Finishes the watchers' streams, those that are opened later too.
  void EndStreams();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  Response* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::health::v1::HealthListRequest* request,
                                 grpc::health::v1::HealthListResponse* response) override;
  grpc::ServerWriteReactor<Response>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;

  Response::ServingStatus status() const;

  const std::set<std::string> services_;
  mutable Mutex mutex_;
  Response::ServingStatus status_ ABSL_GUARDED_BY(mutex_) = Response::NOT_SERVING;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
