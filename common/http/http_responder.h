#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/http/http_message.h"
#include "common/mutex.h"

namespace penstock {

// Makes an answer on the server's own thread: what takes a while keeps nobody else's thread.
using HttpMaking = absl::AnyInvocable<HttpResponse()>;

// Answers on their way from other threads to the server's. Thread-safe.
class HttpMailbox {
 public:
  struct Answer {
    uint64_t connection;
    HttpMaking make;
  };

  // `wake` runs, under the mailbox's lock, whenever there is something to take.
  explicit HttpMailbox(absl::AnyInvocable<void()> wake) : wake_(std::move(wake)) {}

  void Put(uint64_t connection, HttpMaking make) {
    MutexLock lock(mutex_);
    if (closed_) return;
    answers_.push_back({connection, std::move(make)});
    wake_();
  }
  std::vector<Answer> Take() {
    MutexLock lock(mutex_);
    return std::exchange(answers_, {});
  }
  // What comes later is dropped, and `wake` does not run again.
  void Close() {
    std::vector<Answer> dropped;
    MutexLock lock(mutex_);
    closed_ = true;
    dropped.swap(answers_);
  }

 private:
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::AnyInvocable<void()> wake_ ABSL_GUARDED_BY(mutex_);
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
};

// Where the answer to one request goes. May outlive the connection and the server, which then drop
// it. The first answer counts. Any thread.
class HttpResponder {
 public:
  HttpResponder(std::shared_ptr<HttpMailbox> mailbox, uint64_t connection)
      : mailbox_(std::move(mailbox)), connection_(connection) {}

  void Make(HttpMaking make) const { mailbox_->Put(connection_, std::move(make)); }
  void Send(HttpResponse response) const {
    Make([response = std::move(response)]() mutable { return std::move(response); });
  }

 private:
  const std::shared_ptr<HttpMailbox> mailbox_;
  const uint64_t connection_;
};

}  // namespace penstock
