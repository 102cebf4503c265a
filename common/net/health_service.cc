#include "common/net/health_service.h"

#include <optional>
#include <utility>
#include <vector>

namespace penstock {

// One Watch: writes the latest status whenever it differs from the last one written.
class HealthService::Watcher final : public grpc::ServerWriteReactor<Response> {
 public:
  Watcher(HealthService& service, bool known) : service_(service), known_(known) {}

  void Keep(std::shared_ptr<Watcher> self) { self_ = std::move(self); }

  // The status may have changed.
  void Refresh() { Pump(); }

  void End(grpc::Status status) {
    {
      MutexLock lock(mutex_);
      if (!end_.has_value()) end_ = std::move(status);
    }
    Pump();
  }

 private:
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
    {
      MutexLock lock(service_.mutex_);
      service_.watchers_.erase(self_);
    }
    const std::shared_ptr<Watcher> last = std::move(self_);
  }

  // gRPC's calls are made without the lock: they may run reactions.
  void Pump() {
    bool write = false, finish = false;
    grpc::Status status;
    {
      MutexLock lock(mutex_);
      if (finished_ || writing_) return;
      const Response::ServingStatus latest =
          known_ ? service_.status() : Response::SERVICE_UNKNOWN;
      const bool gone =
          end_.has_value() && end_->error_code() == grpc::StatusCode::CANCELLED;
      // The last status goes out before the end.
      if (latest != written_ && !gone) {
        written_ = latest;
        response_.set_status(latest);
        writing_ = write = true;
      } else if (end_.has_value()) {
        finished_ = finish = true;
        status = *end_;
      }
    }
    if (write) StartWrite(&response_);
    if (finish) Finish(std::move(status));
  }

  HealthService& service_;
  const bool known_;
  std::shared_ptr<Watcher> self_;  // until OnDone
  Mutex mutex_;
  Response response_;  // stable while writing_
  Response::ServingStatus written_ ABSL_GUARDED_BY(mutex_) = Response::UNKNOWN;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
};

HealthService::HealthService(std::set<std::string> services) : services_(std::move(services)) {}

void HealthService::SetServing(bool serving) {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(mutex_);
    status_ = serving ? Response::SERVING : Response::NOT_SERVING;
    watchers.assign(watchers_.begin(), watchers_.end());
  }
  for (const auto& watcher : watchers) watcher->Refresh();
}

HealthService::Response::ServingStatus HealthService::status() const {
  MutexLock lock(mutex_);
  return status_;
}

void HealthService::EndStreams() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    watchers.assign(watchers_.begin(), watchers_.end());
  }
  for (const auto& watcher : watchers) {
    watcher->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is draining"));
  }
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const grpc::health::v1::HealthCheckRequest* request,
                                               Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (services_.count(request->service()) == 0) {
    reactor->Finish(grpc::Status(grpc::StatusCode::NOT_FOUND, "unknown service"));
    return reactor;
  }
  response->set_status(status());
  reactor->Finish(grpc::Status());
  return reactor;
}

grpc::ServerUnaryReactor* HealthService::List(grpc::CallbackServerContext* context,
                                              const grpc::health::v1::HealthListRequest* /*request*/,
                                              grpc::health::v1::HealthListResponse* response) {
  for (const std::string& service : services_) {
    (*response->mutable_statuses())[service].set_status(status());
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status());
  return reactor;
}

grpc::ServerWriteReactor<HealthService::Response>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const grpc::health::v1::HealthCheckRequest* request) {
  const bool known = services_.count(request->service()) != 0;
  auto watcher = std::make_shared<Watcher>(*this, known);
  watcher->Keep(watcher);
  bool ended = false;
  {
    MutexLock lock(mutex_);
    ended = ended_;
    watchers_.insert(watcher);
  }
  watcher->Refresh();
  if (ended) watcher->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is draining"));
  return watcher.get();
}

}  // namespace penstock
