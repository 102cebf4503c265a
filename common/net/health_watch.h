#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>

#include <atomic>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

// For the .cc files of this folder: includes gRPC.

namespace penstock {

// Follows grpc.health.v1 of the whole server behind a channel: Watch where the server has it, else Check
// once a second, else whether it answers. Calls under way keep it alive; Stop before letting go of it.
class HealthWatch final : public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(std::shared_ptr<grpc::Channel> channel, absl::AnyInvocable<void(bool)> on_health);

  void Start();
  // The callback does not run after this.
  void Stop();
  bool healthy() const { return healthy_.load(std::memory_order_relaxed); }

 private:
  class WatchCall;
  class CheckCall;

  void Watch();
  void Check();
  void After(absl::Duration delay, void (HealthWatch::*next)());
  void Set(bool healthy);
  void WatchEnded(const grpc::Status& status, bool heard);
  void CheckEnded(const grpc::Status& status, bool serving);

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<grpc::health::v1::Health::Stub> stub_;
  std::atomic<bool> healthy_{false};

  Mutex notify_mutex_;  // held while the callback runs
  absl::AnyInvocable<void(bool)> on_health_ ABSL_GUARDED_BY(notify_mutex_);

  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mutex_);  // of the call under way
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
  absl::Duration backoff_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
