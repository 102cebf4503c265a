#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/rpc/rpc_client.h"

namespace penstock {

// Follows grpc.health.v1 of the whole server behind a channel: Watch where the server has it, else
// Check once a second, else whether it answers. That a Watch ends says nothing of the server yet:
// connections have an age. A healthy one is asked once more at once, and stays healthy unless that
// fails, or takes long. Calls under way keep it alive; Stop before letting go of it.
class HealthWatch final : public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(RpcClient rpc, absl::AnyInvocable<void(bool)> on_health);

  void Start();
  // The callback does not run after this.
  void Stop();
  bool healthy() const { return healthy_.load(std::memory_order_relaxed); }

 private:
  void Watch();
  // At once, of a server that was healthy until its Watch ended.
  void WatchAgain();
  // -> its turn.
  uint64_t Open(bool wait_for_ready);
  // The Watch of that turn has been silent for long.
  void Doubt(uint64_t turn);
  void Heard(uint64_t turn, const Bytes& answer);
  void Check();
  void After(absl::Duration delay, void (HealthWatch::*next)());
  void Set(bool healthy);
  void Tell(bool healthy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(notify_mutex_);
  void WatchEnded(uint64_t turn, const absl::Status& status);
  void CheckEnded(const InferReply& reply);
  // False: stopped.
  bool NextTurn(uint64_t& turn);
  // So that Stop can cancel it, at once if it came first.
  void Keep(uint64_t turn, std::shared_ptr<OutgoingCall> call);

  const RpcClient rpc_;
  std::atomic<bool> healthy_{false};

  // Held while the callback runs. Where both are taken, this one comes first.
  Mutex notify_mutex_;
  absl::AnyInvocable<void(bool)> on_health_ ABSL_GUARDED_BY(notify_mutex_);
  // The turn whose Watch spoke last. Under this mutex, so that a doubt and the word that ends it
  // are told in the order in which they are known.
  uint64_t heard_ ABSL_GUARDED_BY(notify_mutex_) = 0;

  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;  // of the call or the pause under way
  absl::Time opened_ ABSL_GUARDED_BY(mutex_);  // the Watch of this turn
  std::shared_ptr<OutgoingCall> call_ ABSL_GUARDED_BY(mutex_);  // the latest
  absl::Duration backoff_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
