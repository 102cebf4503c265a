#include "common/store/redis/redis_sentinels.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace penstock {

RedisSentinels::~RedisSentinels() = default;

void RedisSentinels::Ask(Done done) {
  done_ = std::move(done);
  asked_ = 0;
  AskNext();
}

void RedisSentinels::AskNext() {
  // It may be the connection's own event that brings us here.
  loop_.Post([old = std::move(connection_)] {});
  if (asked_ == address_.hosts.size()) {
    return End(absl::UnavailableError(absl::StrCat(
        "store: no sentinel knows master '", address_.master_name, "': ", last_error_.message())));
  }
  ++asked_;
  connection_ = std::make_unique<RedisConnection>(
      loop_, clock_, address_, address_.hosts[next_], RedisConnection::Role::kSentinel,
      RedisConnection::Events{
          .on_ready =
              [this] {
                connection_->Send({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", address_.master_name},
                                  [this](RedisReply reply) { OnAnswer(reply); });
              },
          .on_lost =
              [this](absl::Status why) {
                last_error_ = std::move(why);
                next_ = (next_ + 1) % address_.hosts.size();
                AskNext();
              }});
  connection_->Start();
}

void RedisSentinels::OnAnswer(const RedisReply& reply) {
  uint32_t port = 0;
  if (reply.elements.size() == 2 && !reply.elements[0]->text.empty() &&
      absl::SimpleAtoi(reply.elements[1]->text, &port) && port >= 1 && port <= 65535) {
    return End(RedisHost{reply.elements[0]->text, static_cast<uint16_t>(port)});
  }
  // It goes on with the next one.
  connection_->Lose(absl::UnavailableError(
      absl::StrCat(connection_->peer(), " does not know '", address_.master_name, "'")));
}

void RedisSentinels::End(absl::StatusOr<RedisHost> master) {
  loop_.Post([old = std::move(connection_)] {});
  Done done = std::move(done_);
  done_ = nullptr;
  done(std::move(master));
}

}  // namespace penstock
