#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/store/redis/event_loop.h"
#include "common/store/redis/redis_address.h"
#include "common/store/redis/redis_command.h"
#include "common/store/redis/redis_reply.h"
#include "common/store/redis/redis_transport.h"
#include "common/time/clock.h"

namespace penstock {

// One connection's life: connect, greet, answer commands in order, be lost. On the loop's thread
// alone. Destroying it drops the handlers that wait; not inside one of its events or handlers (see
// EventLoop::Post).
class RedisConnection {
 public:
  using ReplyHandler = absl::AnyInvocable<void(RedisReply)>;
  enum class Role {
    kServer,    // AUTH, SELECT; behind sentinels it must say that it is the master
    kSentinel,  // the sentinels' AUTH
  };
  struct Events {
    absl::AnyInvocable<void()> on_ready;
    // Once, then nothing more.
    absl::AnyInvocable<void(absl::Status)> on_lost;
    // Messages of channels; unset where none is subscribed.
    absl::AnyInvocable<void(absl::string_view channel, absl::string_view message)> on_message;
    // How long a reply took. May be unset.
    absl::AnyInvocable<void(absl::Duration)> on_latency;
  };

  RedisConnection(EventLoop& loop, const Clock& clock, const RedisAddress& address, RedisHost host,
                  Role role, Events events);
  ~RedisConnection() { *alive_ = false; }

  // Begins; every outcome comes as an event, none from inside this call.
  void Start();
  // After on_ready.
  void Send(const RedisCommand& command, ReplyHandler on_reply);
  // As if the server had gone.
  void Lose(absl::Status why);
  const RedisHost& host() const { return host_; }
  std::string peer() const;  // for messages

 private:
  struct Pending {
    ReplyHandler on_reply;
    absl::Time sent_at;
  };

  void Greet();
  // Sends; any error, or what `is_good` refuses, ends the connection. Counts towards being ready.
  void SendGreeting(absl::string_view what, const RedisCommand& command,
                    absl::AnyInvocable<bool(const RedisReply&)> is_good = nullptr);
  void OnBytes(absl::string_view bytes);
  void OnReply(RedisReply reply);
  // Looks whether the server is alive, and asks it when nothing else does.
  void Check();

  EventLoop& loop_;
  const Clock& clock_;
  const RedisAddress& address_;
  const RedisHost host_;
  const Role role_;
  Events events_;
  RedisReplyReader reader_;
  LoopTimer connect_timer_;
  LoopTimer check_timer_;
  std::unique_ptr<RedisTransport> transport_;
  std::deque<Pending> pending_;
  absl::Time last_bytes_at_;
  int greetings_ = 0;  // without a reply
  bool ready_ = false;
  bool lost_ = false;
  // False once destroyed, for what was posted before.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace penstock
