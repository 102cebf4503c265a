#include "common/net/health_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/net/callback_threads.h"

namespace penstock {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLastBackoff = absl::Seconds(2);
constexpr absl::Duration kCheckInterval = absl::Seconds(1);
constexpr absl::Duration kCheckTimeout = absl::Seconds(2);

// A server that knows nothing of "the whole server" says nothing against itself.
bool Serves(HealthCheckResponse::ServingStatus status) {
  return status == HealthCheckResponse::SERVING || status == HealthCheckResponse::SERVICE_UNKNOWN;
}

}  // namespace

class HealthWatch::WatchCall final : public grpc::ClientReadReactor<HealthCheckResponse> {
 public:
  WatchCall(std::shared_ptr<HealthWatch> watch, std::shared_ptr<grpc::ClientContext> context)
      : watch_(std::move(watch)), context_(std::move(context)) {}

  // Deletes itself when the call is over.
  void Run() {
    watch_->stub_->async()->Watch(context_.get(), &request_, this);
    StartRead(&response_);
    StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    heard_ = true;
    watch_->Set(Serves(response_.status()));
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    watch_->WatchEnded(status, heard_);
    delete this;
  }

  const std::shared_ptr<HealthWatch> watch_;
  const std::shared_ptr<grpc::ClientContext> context_;
  const HealthCheckRequest request_;
  HealthCheckResponse response_;
  bool heard_ = false;
};

class HealthWatch::CheckCall final : public grpc::ClientUnaryReactor {
 public:
  CheckCall(std::shared_ptr<HealthWatch> watch, std::shared_ptr<grpc::ClientContext> context)
      : watch_(std::move(watch)), context_(std::move(context)) {}

  // Deletes itself when the call is over.
  void Run() {
    watch_->stub_->async()->Check(context_.get(), &request_, &response_, this);
    StartCall();
  }

 private:
  void OnDone(const grpc::Status& status) override {
    watch_->CheckEnded(status, Serves(response_.status()));
    delete this;
  }

  const std::shared_ptr<HealthWatch> watch_;
  const std::shared_ptr<grpc::ClientContext> context_;
  const HealthCheckRequest request_;
  HealthCheckResponse response_;
};

HealthWatch::HealthWatch(std::shared_ptr<grpc::Channel> channel,
                         absl::AnyInvocable<void(bool)> on_health)
    : channel_(std::move(channel)),
      stub_(grpc::health::v1::Health::NewStub(channel_)),
      on_health_(std::move(on_health)),
      backoff_(kFirstBackoff) {}

void HealthWatch::Start() {
  KeepCallbackThreads();
  Watch();
}

void HealthWatch::Stop() {
  {
    MutexLock lock(notify_mutex_);
    on_health_ = nullptr;
  }
  std::shared_ptr<grpc::ClientContext> context;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    context = std::move(context_);
    if (alarm_ != nullptr) alarm_->Cancel();
  }
  if (context != nullptr) context->TryCancel();
}

void HealthWatch::Watch() {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_wait_for_ready(true);
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    context_ = context;
  }
  (new WatchCall(shared_from_this(), std::move(context)))->Run();
}

void HealthWatch::Check() {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoNanoseconds(kCheckTimeout));
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    context_ = context;
  }
  (new CheckCall(shared_from_this(), std::move(context)))->Run();
}

void HealthWatch::After(absl::Duration delay, void (HealthWatch::*next)()) {
  MutexLock lock(mutex_);
  context_ = nullptr;
  if (stopped_) return;
  alarm_ = std::make_unique<grpc::Alarm>();
  // Weak: an alarm keeps its callback when it has run, and this keeps the alarm.
  alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(delay),
              [weak = weak_from_this(), next](bool fired) {
                const std::shared_ptr<HealthWatch> self = fired ? weak.lock() : nullptr;
                if (self != nullptr) ((*self).*next)();
              });
}

void HealthWatch::Set(bool healthy) {
  MutexLock lock(notify_mutex_);
  if (healthy_.exchange(healthy, std::memory_order_relaxed) == healthy) return;
  if (on_health_) on_health_(healthy);
}

void HealthWatch::WatchEnded(const grpc::Status& status, bool heard) {
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    After(absl::ZeroDuration(), &HealthWatch::Check);
    return;
  }
  Set(false);
  absl::Duration backoff;
  {
    MutexLock lock(mutex_);
    backoff = heard ? kFirstBackoff : backoff_;
    backoff_ = std::min(backoff * 2, kLastBackoff);
  }
  After(backoff, &HealthWatch::Watch);
}

void HealthWatch::CheckEnded(const grpc::Status& status, bool serving) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      Set(serving);
      break;
    case grpc::StatusCode::UNIMPLEMENTED:  // no such service
    case grpc::StatusCode::NOT_FOUND:      // none that covers the whole server
      Set(true);
      break;
    default:
      Set(false);
      // What comes back may be another server.
      After(kFirstBackoff, &HealthWatch::Watch);
      return;
  }
  After(kCheckInterval, &HealthWatch::Check);
}

}  // namespace penstock
