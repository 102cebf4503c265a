#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/notification.h"
#include "gtest/gtest.h"

namespace penstock {

// A call as a server would hand it to a handler; records the reply. Thread-safe.
class FakeIncomingCall final : public IncomingCall {
 public:
  explicit FakeIncomingCall(Bytes request, absl::Time deadline = absl::InfiniteFuture(),
                            Metadata metadata = {}, Caller caller = {.trusted = true})
      : request_(std::move(request)),
        deadline_(deadline),
        metadata_(std::move(metadata)),
        caller_(std::move(caller)) {}

  const Bytes& request() const override { return request_; }
  absl::Time deadline() const override { return deadline_; }
  const Metadata& metadata() const override { return metadata_; }
  const Caller& caller() const override { return caller_; }

  void SetCancelHandler(absl::AnyInvocable<void()> on_cancel) override {
    {
      MutexLock lock(mutex_);
      if (!cancelled_) {
        on_cancel_ = std::move(on_cancel);
        return;
      }
      if (reply_.has_value()) return;
    }
    on_cancel();
  }

  void Finish(InferReply reply) override {
    absl::AnyInvocable<void()> dropped;
    {
      MutexLock lock(mutex_);
      EXPECT_FALSE(reply_.has_value()) << "finished twice";
      if (reply_.has_value()) return;
      reply_ = std::move(reply);
      dropped = std::exchange(on_cancel_, nullptr);
    }
    done_.Notify();
  }

  // The client goes away: runs the cancel handler on this thread, unless the call is finished.
  void Cancel() {
    absl::AnyInvocable<void()> on_cancel;
    {
      MutexLock lock(mutex_);
      if (cancelled_ || reply_.has_value()) return;
      cancelled_ = true;
      on_cancel = std::exchange(on_cancel_, nullptr);
    }
    if (on_cancel) on_cancel();
  }

  bool finished() const { return done_.HasBeenNotified(); }
  // The reply; fails the test when none comes in time.
  InferReply WaitForReply(absl::Duration timeout = absl::Seconds(10)) const {
    if (!done_.WaitWithTimeout(timeout)) {
      ADD_FAILURE() << "no reply within " << absl::FormatDuration(timeout);
      return {.status = absl::DeadlineExceededError("no reply"), .body = {}, .trailers = {}};
    }
    MutexLock lock(mutex_);
    return *reply_;
  }

 private:
  const Bytes request_;
  const absl::Time deadline_;
  const Metadata metadata_;
  const Caller caller_;
  Notification done_;
  mutable Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::AnyInvocable<void()> on_cancel_ ABSL_GUARDED_BY(mutex_);
  std::optional<InferReply> reply_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
