#pragma once

#include <memory>

#include "common/random.h"
#include "common/store/redis/redis_connection.h"
#include "common/store/redis/redis_sentinels.h"

namespace penstock {

// Keeps one connection to the server, or to whom the sentinels call the master: connects again
// with growing, jittered pauses, and follows a failover. On the loop's thread alone; not destroyed
// inside its events.
class RedisLink {
 public:
  struct Events {
    absl::AnyInvocable<void(RedisConnection&)> on_up;
    // After on_up, or for an attempt that failed.
    absl::AnyInvocable<void(const absl::Status&)> on_down;
    absl::AnyInvocable<void(absl::string_view channel, absl::string_view message)> on_message;
    absl::AnyInvocable<void(absl::Duration)> on_latency;
  };

  RedisLink(EventLoop& loop, const Clock& clock, const RedisAddress& address, uint64_t seed,
            Events events);

  void Start();
  // Null while there is none.
  RedisConnection* connection() { return up_ ? connection_.get() : nullptr; }
  // Ends the connection and goes on as if the server had gone.
  void Drop(absl::Status why);

 private:
  void Attempt();
  void ConnectTo(RedisHost host);
  void OnLost(const absl::Status& why);
  // Whether the sentinels name another master than ours.
  void AskWhetherMoved();

  EventLoop& loop_;
  const Clock& clock_;
  const RedisAddress& address_;
  Events events_;
  CounterRandom random_;
  RedisSentinels sentinels_;
  LoopTimer retry_timer_;
  LoopTimer moved_timer_;
  int failures_ = 0;  // since the link was up
  bool up_ = false;
  std::unique_ptr<RedisConnection> connection_;
};

}  // namespace penstock
