#pragma once

#include <memory>

#include "common/store/redis/redis_connection.h"

namespace penstock {

// Asks sentinels where the master is, one after the other until one knows. On the loop's thread
// alone; not destroyed inside its callback.
class RedisSentinels {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<RedisHost>)>;

  RedisSentinels(EventLoop& loop, const Clock& clock, const RedisAddress& address)
      : loop_(loop), clock_(clock), address_(address) {}
  ~RedisSentinels();

  // Begins with the sentinel that knew last. Replaces a question under way, whose `done` never
  // runs.
  void Ask(Done done);
  bool asking() const { return done_ != nullptr; }

 private:
  void AskNext();
  void OnAnswer(const RedisReply& reply);
  void End(absl::StatusOr<RedisHost> master);

  EventLoop& loop_;
  const Clock& clock_;
  const RedisAddress& address_;
  size_t next_ = 0;   // in address_.hosts
  size_t asked_ = 0;  // for this question
  absl::Status last_error_;
  Done done_;
  std::unique_ptr<RedisConnection> connection_;
};

}  // namespace penstock
