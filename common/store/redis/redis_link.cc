#include "common/store/redis/redis_link.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr absl::Duration kShortestBackoff = absl::Milliseconds(50);
constexpr int kMostDoublings = 20;
constexpr absl::Duration kAskWhetherMoved = absl::Seconds(1);

}  // namespace

RedisLink::RedisLink(EventLoop& loop, const Clock& clock, const RedisAddress& address,
                     uint64_t seed, Events events)
    : loop_(loop),
      clock_(clock),
      address_(address),
      events_(std::move(events)),
      random_(seed, /*sequence=*/0),
      sentinels_(loop, clock, address),
      retry_timer_(loop, [this] { Attempt(); }),
      moved_timer_(loop, [this] { AskWhetherMoved(); }) {}

void RedisLink::Start() { Attempt(); }

void RedisLink::Attempt() {
  if (!address_.unix_socket.empty()) return ConnectTo({});
  if (address_.master_name.empty()) return ConnectTo(address_.hosts.front());
  sentinels_.Ask([this](absl::StatusOr<RedisHost> master) {
    if (!master.ok()) return OnLost(master.status());
    ConnectTo(*std::move(master));
  });
}

void RedisLink::ConnectTo(RedisHost host) {
  connection_ = std::make_unique<RedisConnection>(
      loop_, clock_, address_, std::move(host), RedisConnection::Role::kServer,
      RedisConnection::Events{.on_ready =
                                  [this] {
                                    failures_ = 0;
                                    up_ = true;
                                    if (!address_.master_name.empty())
                                      moved_timer_.Set(kAskWhetherMoved);
                                    events_.on_up(*connection_);
                                  },
                              .on_lost = [this](absl::Status why) { OnLost(why); },
                              .on_message =
                                  [this](absl::string_view channel, absl::string_view message) {
                                    if (events_.on_message) events_.on_message(channel, message);
                                  },
                              .on_latency =
                                  [this](absl::Duration latency) {
                                    if (events_.on_latency) events_.on_latency(latency);
                                  }});
  connection_->Start();
}

void RedisLink::Drop(absl::Status why) {
  if (connection_ != nullptr) connection_->Lose(std::move(why));
}

void RedisLink::OnLost(const absl::Status& why) {
  up_ = false;
  moved_timer_.Stop();
  loop_.Post([old = std::move(connection_)] {});
  const absl::Duration backoff =
      std::min(kShortestBackoff * std::ldexp(1.0, std::min(failures_, kMostDoublings)),
               address_.longest_backoff);
  ++failures_;
  // Many processes lose a server at the same moment, and should not all come back at another.
  retry_timer_.Set(backoff * (0.5 + 0.5 * random_.Uniform()));
  events_.on_down(why);
}

void RedisLink::AskWhetherMoved() {
  if (!up_ || sentinels_.asking()) return;
  sentinels_.Ask([this](absl::StatusOr<RedisHost> master) {
    if (!up_) return;
    // Sentinels that do not answer say nothing about the master.
    if (master.ok() && *master != connection_->host()) {
      return Drop(absl::UnavailableError(
          absl::StrCat("store: the sentinels moved the master to ", master->text())));
    }
    moved_timer_.Set(kAskWhetherMoved);
  });
}

}  // namespace penstock
