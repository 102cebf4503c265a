#include "common/net/health_service.h"

#include <optional>
#include <utility>

#include "common/net/grpc_messages.h"

namespace penstock {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;

// One Watch: writes the latest status whenever it differs from the last one written.
class HealthService::Watcher final : public ServerRpc {
 public:
  Watcher(std::unique_ptr<RpcArrival> arrival, HealthService& service, std::string watched)
      : ServerRpc(std::move(arrival)), service_(service), watched_(std::move(watched)) {}

  void Keep(std::shared_ptr<Watcher> self) { self_ = std::move(self); }

  // The status may have changed.
  void Refresh() { Pump(); }

  void End() { End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is draining")); }

 private:
  void End(grpc::Status status) {
    {
      MutexLock lock(mutex_);
      if (!end_.has_value()) end_ = std::move(status);
    }
    Pump();
  }

  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      writing_ = false;
    }
    if (ok) {
      Pump();
    } else {
      End(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    service_.watchers_.Remove(self_);
    const std::shared_ptr<Watcher> last = std::move(self_);
  }

  // Operations start without the lock: they may run reactions.
  void Pump() {
    bool write = false, finish = false;
    Response response;
    grpc::Status status;
    {
      MutexLock lock(mutex_);
      if (finished_ || writing_) return;
      const Response::ServingStatus latest = service_.StatusOf(watched_);
      const bool gone =
          end_.has_value() && end_->error_code() == grpc::StatusCode::CANCELLED;
      // The last status goes out before the end.
      if (latest != written_ && !gone) {
        written_ = latest;
        response.set_status(latest);
        writing_ = write = true;
      } else if (end_.has_value()) {
        finished_ = finish = true;
        status = *end_;
      }
    }
    if (write) StartWrite(SerializeMessage(response));
    if (finish) Finish(status);
  }

  HealthService& service_;
  const std::string watched_;
  std::shared_ptr<Watcher> self_;  // until OnDone
  Mutex mutex_;
  Response::ServingStatus written_ ABSL_GUARDED_BY(mutex_) = Response::UNKNOWN;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
};

HealthService::HealthService(std::set<std::string> services) : services_(std::move(services)) {
  AddUnary<HealthCheckRequest, Response>(
      "/grpc.health.v1.Health/Check",
      [this](const ControlContext&, const HealthCheckRequest& request, Response& response,
             ControlDone done) {
        response.set_status(StatusOf(request.service()));
        if (response.status() == Response::SERVICE_UNKNOWN) {
          done(absl::NotFoundError("unknown service"));
          return;
        }
        done(absl::OkStatus());
      });
  AddUnary<HealthListRequest, HealthListResponse>(
      "/grpc.health.v1.Health/List",
      [this](const ControlContext&, const HealthListRequest&, HealthListResponse& response,
             ControlDone done) {
        for (const std::string& service : services_) {
          (*response.mutable_statuses())[service].set_status(StatusOf(service));
        }
        (*response.mutable_statuses())[kLive].set_status(StatusOf(kLive));
        done(absl::OkStatus());
      });
  AddServerStream<HealthCheckRequest>(
      "/grpc.health.v1.Health/Watch",
      [this](std::unique_ptr<RpcArrival> arrival, const HealthCheckRequest& request) {
        Watch(std::move(arrival), request);
      });
}

void HealthService::SetServing(bool serving) {
  {
    MutexLock lock(mutex_);
    status_ = serving ? Response::SERVING : Response::NOT_SERVING;
  }
  for (const auto& watcher : watchers_.All()) watcher->Refresh();
}

HealthService::Response::ServingStatus HealthService::StatusOf(const std::string& service) const {
  if (service == kLive) return Response::SERVING;
  if (services_.count(service) == 0) return Response::SERVICE_UNKNOWN;
  MutexLock lock(mutex_);
  return status_;
}

void HealthService::EndStreams() { watchers_.EndAll(); }

void HealthService::Watch(std::unique_ptr<RpcArrival> arrival,
                          const HealthCheckRequest& request) {
  auto watcher = std::make_shared<Watcher>(std::move(arrival), *this, request.service());
  watcher->Keep(watcher);
  watchers_.Add(watcher);
  watcher->Refresh();
}

}  // namespace penstock
