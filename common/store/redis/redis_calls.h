#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "common/store/redis/redis_link.h"
#include "common/store/store.h"

namespace penstock {

// Calls over one connection, pipelined: each ends by its reply, by its deadline or with the
// connection, whichever is first. Thread-safe.
class RedisCalls {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<RedisReply>)>;

  RedisCalls(EventLoop& loop, const Clock& clock, const RedisAddress& address, uint64_t seed);
  // Calls that are open end with UNAVAILABLE.
  ~RedisCalls();

  // `done` as store.h says. An error of the server ends the call with its status.
  void Call(RedisCommand command, absl::Time deadline, Done done);
  void Evaluate(const RedisScript& script, std::string key, std::vector<std::string> arguments,
                absl::Time deadline, Done done);
  // A call that ends before it is sent.
  void Refuse(absl::Status why, Done done);

  // Shows in the state.
  void NoteError(const absl::Status& why);
  StoreState state() const;

 private:
  struct OpenCall {
    Done done;
    absl::Time deadline;
    const RedisScript* script = nullptr;  // null: no script
    std::string key;
    std::vector<std::string> arguments;
    bool by_text = false;
  };

  void Admit(RedisCommand command, OpenCall call);
  // Below: on the loop's thread.
  void Begin(const RedisCommand& command, OpenCall call);
  void SendCall(uint64_t id, size_t bytes, const RedisCommand& command);
  void OnReply(uint64_t id, size_t bytes, RedisReply reply);
  void OnUp();
  void OnDown(const absl::Status& why);
  void OnDeadline();
  void End(OpenCall call, absl::StatusOr<RedisReply> result);
  void EndAll(const absl::Status& why);
  OpenCall TakeOut(uint64_t id);
  // Gives back what Admit counted.
  void Release(int64_t calls, size_t bytes);

  EventLoop& loop_;
  const Clock& clock_;
  const RedisAddress& address_;
  const size_t max_bytes_;  // of requests in flight

  uint64_t next_id_ = 1;
  std::map<uint64_t, OpenCall> open_;
  std::set<std::pair<absl::Time, uint64_t>> deadlines_;  // of those that have one
  // On the wire: calls whose deadline passed hold their place until the reply comes.
  int64_t wire_calls_ = 0;
  size_t wire_bytes_ = 0;
  std::unique_ptr<RedisLink> link_;
  std::unique_ptr<LoopTimer> deadline_timer_;

  mutable Mutex mutex_;
  StoreState state_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock
