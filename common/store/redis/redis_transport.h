#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/store/redis/event_loop.h"
#include "common/store/redis/redis_address.h"

struct bufferevent;
struct evdns_base;

namespace penstock {

// Bytes to and from one server: plain, over a unix socket, or over TLS. On the loop's thread alone.
class RedisTransport {
 public:
  // All run on the loop. `on_lost` comes at most once, and nothing after it. The transport may be
  // destroyed inside any of them.
  struct Events {
    absl::AnyInvocable<void()> on_connected;  // and the certificate is good
    absl::AnyInvocable<void(absl::string_view)> on_bytes;
    absl::AnyInvocable<void(absl::Status)> on_lost;
  };

  // `host` is ignored where the address names a unix socket. An error: a file is wrong, or the
  // attempt failed at once.
  static absl::StatusOr<std::unique_ptr<RedisTransport>> Connect(EventLoop& loop,
                                                                 const RedisAddress& address,
                                                                 const RedisHost& host,
                                                                 Events events);
  ~RedisTransport();
  RedisTransport(const RedisTransport&) = delete;
  RedisTransport& operator=(const RedisTransport&) = delete;

  void Write(absl::string_view bytes);

 private:
  RedisTransport(std::string peer, Events events)
      : peer_(std::move(peer)), events_(std::make_shared<Events>(std::move(events))) {}

  static void OnRead(bufferevent* buffer, void* self);
  static void OnEvent(bufferevent* buffer, short what, void* self);
  absl::Status ErrorOf(short what);

  const std::string peer_;  // for messages
  // Shared with the callback under way, which may destroy the transport.
  const std::shared_ptr<Events> events_;
  bufferevent* buffer_ = nullptr;
  evdns_base* dns_ = nullptr;
  bool tls_ = false;
};

}  // namespace penstock
