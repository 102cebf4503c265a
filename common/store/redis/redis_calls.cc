#include "common/store/redis/redis_calls.h"

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Of the smoothed latency: a sixteenth of what is new.
constexpr double kSmoothing = 1.0 / 16;

// A status that nobody shares, for another thread: Abseil counts who shares one where
// ThreadSanitizer does not look.
absl::Status OwnCopy(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

}  // namespace

RedisCalls::RedisCalls(EventLoop& loop, const Clock& clock, const RedisAddress& address,
                       uint64_t seed)
    : loop_(loop),
      clock_(clock),
      address_(address),
      // The largest value twice, so that one waits for no other.
      max_bytes_(2 * static_cast<size_t>(address.max_value_bytes)) {
  loop_.Run([&] {
    deadline_timer_ = std::make_unique<LoopTimer>(loop_, [this] { OnDeadline(); });
    link_ = std::make_unique<RedisLink>(
        loop_, clock_, address_, seed,
        RedisLink::Events{.on_up = [this](RedisConnection&) { OnUp(); },
                          .on_down = [this](const absl::Status& why) { OnDown(why); },
                          .on_latency =
                              [this](absl::Duration latency) {
                                MutexLock lock(mutex_);
                                const bool first = state_.latency == absl::ZeroDuration();
                                state_.latency +=
                                    (latency - state_.latency) * (first ? 1 : kSmoothing);
                              }});
    link_->Start();
  });
}

RedisCalls::~RedisCalls() {
  loop_.Run([this] {
    const absl::Status closed = absl::UnavailableError("store: it is being closed");
    {
      MutexLock lock(mutex_);
      state_.connected = false;
      state_.last_error = closed;
    }
    EndAll(closed);
    link_.reset();
    deadline_timer_.reset();
  });
}

void RedisCalls::Call(RedisCommand command, absl::Time deadline, Done done) {
  Admit(std::move(command), {.done = std::move(done), .deadline = deadline});
}

void RedisCalls::Evaluate(const RedisScript& script, std::string key,
                          std::vector<std::string> arguments, absl::Time deadline, Done done) {
  RedisCommand command = script.ByDigest(key, arguments);
  Admit(std::move(command), {.done = std::move(done),
                             .deadline = deadline,
                             .script = &script,
                             .key = std::move(key),
                             .arguments = std::move(arguments)});
}

void RedisCalls::Refuse(absl::Status why, Done done) {
  {
    MutexLock lock(mutex_);
    ++state_.calls;
    ++state_.failures;
  }
  done(std::move(why));
}

void RedisCalls::Admit(RedisCommand command, OpenCall call) {
  const size_t bytes = command.wire().size();
  absl::Status refusal;
  {
    MutexLock lock(mutex_);
    ++state_.calls;
    if (!state_.connected) {
      ++state_.not_there;
      refusal = absl::UnavailableError(
          state_.last_error.ok() ? absl::StrCat("store: ", address_.text(), ": not connected yet")
                                 : std::string(state_.last_error.message()));
    } else if (clock_.Now() >= call.deadline) {
      ++state_.timeouts;
      refusal = absl::DeadlineExceededError("store: the call's deadline has passed");
    } else if (state_.in_flight >= address_.max_in_flight ||
               bytes_in_flight_ + bytes > max_bytes_) {
      ++state_.refusals;
      refusal = absl::ResourceExhaustedError(absl::StrCat(
          "store: ", state_.in_flight, " calls and ", bytes_in_flight_, " bytes in flight"));
    }
    if (refusal.ok()) {
      ++state_.in_flight;
      bytes_in_flight_ += bytes;
    } else {
      ++state_.failures;
    }
  }
  if (!refusal.ok()) return call.done(std::move(refusal));
  loop_.Post([this, command = std::move(command), call = std::move(call)]() mutable {
    Begin(command, std::move(call));
  });
}

void RedisCalls::Begin(const RedisCommand& command, OpenCall call) {
  const size_t bytes = command.wire().size();
  if (link_ == nullptr || link_->connection() == nullptr) {
    Release(1, bytes);
    return End(std::move(call), absl::UnavailableError("store: the connection was lost"));
  }
  const uint64_t id = next_id_++;
  const absl::Time deadline = call.deadline;
  open_.emplace(id, std::move(call));
  if (deadline != absl::InfiniteFuture()) {
    const auto it = deadlines_.emplace(deadline, id).first;
    if (it == deadlines_.begin()) deadline_timer_->Set(deadline - clock_.Now());
  }
  ++wire_calls_;
  wire_bytes_ += bytes;
  SendCall(id, bytes, command);
}

void RedisCalls::SendCall(uint64_t id, size_t bytes, const RedisCommand& command) {
  link_->connection()->Send(
      command, [this, id, bytes](RedisReply reply) { OnReply(id, bytes, std::move(reply)); });
}

void RedisCalls::OnReply(uint64_t id, size_t bytes, RedisReply reply) {
  const auto it = open_.find(id);
  if (it != open_.end() && it->second.script != nullptr && !it->second.by_text &&
      reply.IsError("NOSCRIPT")) {
    // The server started anew. It keeps a script that it ran by its text.
    it->second.by_text = true;
    return SendCall(id, bytes, it->second.script->ByText(it->second.key, it->second.arguments));
  }
  --wire_calls_;
  wire_bytes_ -= bytes;
  Release(1, bytes);
  absl::Status status = RedisReplyStatus(reply);
  // A master that became a replica: whoever leads there, leads elsewhere now.
  const absl::Status moved = reply.IsError("READONLY") ? OwnCopy(status) : absl::OkStatus();
  if (it != open_.end()) {
    OpenCall call = TakeOut(id);
    if (status.ok()) {
      End(std::move(call), std::move(reply));
    } else {
      End(std::move(call), std::move(status));
    }
  }
  if (!moved.ok()) link_->Drop(moved);
}

void RedisCalls::OnUp() {
  MutexLock lock(mutex_);
  state_.connected = true;
  state_.connected_since = clock_.Now();
  ++state_.connections;
}

void RedisCalls::OnDown(const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    state_.connected = false;
    state_.last_error = why;
    state_.last_error_at = clock_.Now();
  }
  EndAll(why);
}

void RedisCalls::OnDeadline() {
  const absl::Time now = clock_.Now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    End(TakeOut(deadlines_.begin()->second),
        absl::DeadlineExceededError("store: no reply by the call's deadline"));
  }
  if (!deadlines_.empty()) deadline_timer_->Set(deadlines_.begin()->first - clock_.Now());
}

void RedisCalls::End(OpenCall call, absl::StatusOr<RedisReply> result) {
  if (!result.ok()) {
    MutexLock lock(mutex_);
    ++state_.failures;
    if (result.status().code() == absl::StatusCode::kDeadlineExceeded) ++state_.timeouts;
  }
  call.done(std::move(result));
}

void RedisCalls::EndAll(const absl::Status& why) {
  Release(std::exchange(wire_calls_, 0), std::exchange(wire_bytes_, 0));
  std::map<uint64_t, OpenCall> open = std::move(open_);
  open_.clear();
  deadlines_.clear();
  for (auto& [id, call] : open) End(std::move(call), OwnCopy(why));
}

RedisCalls::OpenCall RedisCalls::TakeOut(uint64_t id) {
  const auto it = open_.find(id);
  OpenCall call = std::move(it->second);
  deadlines_.erase({call.deadline, id});
  open_.erase(it);
  return call;
}

void RedisCalls::Release(int64_t calls, size_t bytes) {
  MutexLock lock(mutex_);
  state_.in_flight -= calls;
  bytes_in_flight_ -= bytes;
}

void RedisCalls::NoteError(const absl::Status& why) {
  MutexLock lock(mutex_);
  state_.last_error = why;
  state_.last_error_at = clock_.Now();
}

StoreState RedisCalls::state() const {
  MutexLock lock(mutex_);
  StoreState state = state_;
  state.last_error = OwnCopy(state.last_error);
  return state;
}

}  // namespace penstock
