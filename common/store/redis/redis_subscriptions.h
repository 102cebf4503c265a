#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/store/redis/redis_link.h"
#include "common/store/store.h"
#include "common/store/subscriber.h"

namespace penstock {

// Channels, on a connection of their own, which is made with the first of them: what subscribes may
// ask nothing else. Thread-safe.
class RedisSubscriptions {
 public:
  // `on_error` hears why there is no connection, or why a channel was refused; on the loop.
  RedisSubscriptions(EventLoop& loop, const Clock& clock, const RedisAddress& address,
                     uint64_t seed, absl::AnyInvocable<void(const absl::Status&)> on_error)
      : loop_(loop),
        clock_(clock),
        address_(address),
        seed_(seed),
        on_error_(std::move(on_error)) {}
  ~RedisSubscriptions();

  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view channel, absl::AnyInvocable<void()> on_live,
      absl::AnyInvocable<void(absl::string_view message)> on_message);

 private:
  class Subscription;
  struct Channel {
    uint64_t generation = 0;  // tells it from an earlier one of its name
    bool live = false;
    std::vector<std::shared_ptr<Subscriber>> subscribers;
  };

  void Remove(std::shared_ptr<Subscriber> subscriber);
  // Below: on the loop's thread.
  void AddOnLoop(std::shared_ptr<Subscriber> subscriber);
  void RemoveOnLoop(const std::shared_ptr<Subscriber>& subscriber);
  void StartLink();
  void SendSubscribe(const std::string& name, uint64_t generation);
  void OnSubscribed(const std::string& name, uint64_t generation, const RedisReply& reply);

  EventLoop& loop_;
  const Clock& clock_;
  const RedisAddress& address_;
  const uint64_t seed_;
  absl::AnyInvocable<void(const absl::Status&)> on_error_;
  std::unique_ptr<RedisLink> link_;
  std::map<std::string, Channel> channels_;  // by name without the prefix
  uint64_t next_generation_ = 1;
  Mutex mutex_;
  size_t subscriptions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock
