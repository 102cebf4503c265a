#include "common/store/redis/redis_connection.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr std::streamsize kMostPasswordBytes = 4096;

// The file is read for every connection, so that a password that was replaced takes effect.
absl::StatusOr<std::string> PasswordOf(const RedisCredentials& credentials) {
  if (credentials.password_file.empty()) return credentials.password;
  std::ifstream file(credentials.password_file, std::ios::binary);
  std::string password(kMostPasswordBytes, '\0');
  file.read(password.data(), kMostPasswordBytes);
  password.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  absl::StripTrailingAsciiWhitespace(&password);
  if (password.empty()) {
    return absl::UnavailableError(
        absl::StrCat("store: password_file '", credentials.password_file, "' cannot be read"));
  }
  return password;
}

}  // namespace

RedisConnection::RedisConnection(EventLoop& loop, const Clock& clock, const RedisAddress& address,
                                 RedisHost host, Role role, Events events)
    : loop_(loop),
      clock_(clock),
      address_(address),
      host_(std::move(host)),
      role_(role),
      events_(std::move(events)),
      // The reply's frame comes on top of the value.
      reader_(static_cast<size_t>(address.max_value_bytes) + 64 * 1024),
      connect_timer_(loop,
                     [this] {
                       Lose(absl::UnavailableError(
                           absl::StrCat("store: ", peer(), ": no greeting within ",
                                        absl::FormatDuration(address_.connect_timeout))));
                     }),
      check_timer_(loop, [this] { Check(); }),
      last_bytes_at_(clock.Now()) {}

std::string RedisConnection::peer() const {
  return address_.unix_socket.empty() ? host_.text() : address_.unix_socket;
}

void RedisConnection::Start() {
  connect_timer_.Set(address_.connect_timeout);
  absl::StatusOr<std::unique_ptr<RedisTransport>> transport =
      RedisTransport::Connect(loop_, address_, host_,
                              {.on_connected = [this] { Greet(); },
                               .on_bytes = [this](absl::string_view bytes) { OnBytes(bytes); },
                               .on_lost = [this](absl::Status why) { Lose(std::move(why)); }});
  if (transport.ok()) {
    transport_ = *std::move(transport);
    return;
  }
  loop_.Post([this, alive = alive_, why = transport.status()] {
    if (*alive) Lose(why);
  });
}

void RedisConnection::Greet() {
  const RedisCredentials& credentials =
      role_ == Role::kSentinel ? address_.sentinel_credentials : address_.credentials;
  const absl::StatusOr<std::string> password = PasswordOf(credentials);
  if (!password.ok()) return Lose(password.status());
  if (!password->empty()) {
    SendGreeting("AUTH", credentials.user.empty()
                             ? RedisCommand({"AUTH", *password})
                             : RedisCommand({"AUTH", credentials.user, *password}));
  }
  if (role_ == Role::kServer) {
    if (address_.db != 0) SendGreeting("SELECT", {"SELECT", absl::StrCat(address_.db)});
    if (!address_.master_name.empty()) {
      SendGreeting("ROLE", {"ROLE"}, [](const RedisReply& reply) {
        return !reply.elements.empty() && reply.elements[0]->text == "master";
      });
    }
  }
  SendGreeting("PING", {"PING"});
}

void RedisConnection::SendGreeting(absl::string_view what, const RedisCommand& command,
                                   absl::AnyInvocable<bool(const RedisReply&)> is_good) {
  ++greetings_;
  Send(command, [this, what, is_good = std::move(is_good)](RedisReply reply) mutable {
    if (reply.type == RedisReply::Type::kError) {
      // The code alone: a server that does not know AUTH quotes what came with it.
      const absl::string_view code = absl::string_view(reply.text).substr(0, reply.text.find(' '));
      return Lose(absl::UnavailableError(
          absl::StrCat("store: ", peer(), ": ", what, " answered ", code.substr(0, 32))));
    }
    if (is_good && !is_good(reply)) {
      return Lose(absl::UnavailableError(absl::StrCat("store: ", peer(), " is not the master")));
    }
    if (--greetings_ > 0) return;
    ready_ = true;
    connect_timer_.Stop();
    check_timer_.Set(address_.stall_timeout / 4);
    events_.on_ready();
  });
}

void RedisConnection::Send(const RedisCommand& command, ReplyHandler on_reply) {
  if (lost_ || transport_ == nullptr) return;
  pending_.push_back({std::move(on_reply), clock_.Now()});
  transport_->Write(command.wire());
}

void RedisConnection::Lose(absl::Status why) {
  if (lost_) return;
  lost_ = true;
  connect_timer_.Stop();
  check_timer_.Stop();
  transport_.reset();
  events_.on_lost(std::move(why));
}

void RedisConnection::OnBytes(absl::string_view bytes) {
  last_bytes_at_ = clock_.Now();
  std::deque<RedisReply> replies;
  const absl::Status status = reader_.Feed(bytes, replies);
  for (RedisReply& reply : replies) {
    OnReply(std::move(reply));
    if (lost_) return;
  }
  if (!status.ok()) Lose(status);
}

void RedisConnection::OnReply(RedisReply reply) {
  if (events_.on_message && reply.elements.size() == 3 && reply.elements[0]->text == "message") {
    return events_.on_message(reply.elements[1]->text, reply.elements[2]->text);
  }
  if (pending_.empty()) {
    // Before an end a server may say why, say, that it has too many clients.
    return Lose(absl::UnavailableError(
        reply.type == RedisReply::Type::kError
            ? std::string(RedisReplyStatus(reply).message())
            : std::string("store: bad reply: the server answers what was not asked")));
  }
  Pending answered = std::move(pending_.front());
  pending_.pop_front();
  if (ready_ && events_.on_latency) events_.on_latency(clock_.Now() - answered.sent_at);
  answered.on_reply(std::move(reply));
}

void RedisConnection::Check() {
  const absl::Time now = clock_.Now();
  if (!pending_.empty()) {
    const absl::Duration silent = now - std::max(pending_.front().sent_at, last_bytes_at_);
    if (silent >= address_.stall_timeout) {
      return Lose(absl::UnavailableError(
          absl::StrCat("store: ", peer(), ": no reply for ",
                       absl::FormatDuration(absl::Trunc(silent, absl::Milliseconds(1))))));
    }
  } else {
    Send({"PING"}, [](RedisReply) {});
  }
  check_timer_.Set(address_.stall_timeout / 4);
}

}  // namespace penstock
