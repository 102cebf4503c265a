#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "gtest/gtest.h"

namespace penstock {

// One call that a FakeInferTarget received. Thread-safe.
class FakeOutgoingCall final : public OutgoingCall {
 public:
  FakeOutgoingCall(Bytes request, CallOptions options, bool ignores_cancel,
                   absl::AnyInvocable<void(InferReply)> done)
      : request_(std::move(request)),
        options_(std::move(options)),
        ignores_cancel_(ignores_cancel),
        done_(std::move(done)) {}

  const Bytes& request() const { return request_; }
  const CallOptions& options() const { return options_; }

  // Answers; false when the call was answered or cancelled before.
  bool Reply(InferReply reply) {
    absl::AnyInvocable<void(InferReply)> done;
    {
      MutexLock lock(mutex_);
      if (finished_) return false;
      finished_ = true;
      done = std::move(done_);
    }
    done(std::move(reply));
    return true;
  }
  bool Reply(absl::Status status) {
    return Reply(InferReply{.status = std::move(status), .body = {}, .trailers = {}});
  }

  void Cancel() override {
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
    }
    if (!ignores_cancel_) Reply(absl::CancelledError("cancelled"));
  }

  bool cancelled() const {
    MutexLock lock(mutex_);
    return cancelled_;
  }
  bool finished() const {
    MutexLock lock(mutex_);
    return finished_;
  }

 private:
  const Bytes request_;
  const CallOptions options_;
  const bool ignores_cancel_;
  mutable Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::AnyInvocable<void(InferReply)> done_ ABSL_GUARDED_BY(mutex_);
};

// An endpoint under the test's hand: holds calls until they are answered, or answers at once with a
// function. Thread-safe.
class FakeInferTarget final : public InferTarget {
 public:
  using Answer = std::function<InferReply(const Bytes& request, const CallOptions& options)>;

  explicit FakeInferTarget(std::string address = "fake:0") : address_(std::move(address)) {}

  std::shared_ptr<OutgoingCall> ModelInfer(Bytes request, CallOptions options,
                                           absl::AnyInvocable<void(InferReply)> done) override {
    std::shared_ptr<FakeOutgoingCall> call;
    Answer answer;
    {
      MutexLock lock(mutex_);
      call = std::make_shared<FakeOutgoingCall>(std::move(request), std::move(options),
                                                ignores_cancel_, std::move(done));
      calls_.push_back(call);
      answer = answer_;
      arrived_.NotifyAll();
    }
    if (answer) call->Reply(answer(call->request(), call->options()));
    return call;
  }

  bool healthy() const override {
    MutexLock lock(mutex_);
    return healthy_;
  }
  absl::string_view address() const override { return address_; }

  void SetHealthy(bool healthy) {
    MutexLock lock(mutex_);
    healthy_ = healthy;
  }
  // Calls that come later are answered so, before ModelInfer returns. Null: they are held.
  void AnswerWith(Answer answer) {
    MutexLock lock(mutex_);
    answer_ = std::move(answer);
  }
  void AnswerWith(InferReply reply) {
    AnswerWith([reply = std::move(reply)](const Bytes&, const CallOptions&) { return reply; });
  }
  // Calls that come later stay open when they are cancelled, until they are answered.
  void IgnoreCancel() {
    MutexLock lock(mutex_);
    ignores_cancel_ = true;
  }

  // All calls so far, in order, answered or not.
  std::vector<std::shared_ptr<FakeOutgoingCall>> calls() const {
    MutexLock lock(mutex_);
    return calls_;
  }
  // Call `index`; fails the test when it does not come in time (then the result is null).
  std::shared_ptr<FakeOutgoingCall> WaitForCall(size_t index,
                                                absl::Duration timeout = absl::Seconds(10)) const {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(mutex_);
    while (calls_.size() <= index) {
      const auto left = deadline - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds::zero()) {
        ADD_FAILURE() << address_ << " got " << calls_.size() << " calls, waited for call "
                      << index;
        return nullptr;
      }
      arrived_.WaitFor(mutex_, absl::FromChrono(left));
    }
    return calls_[index];
  }

 private:
  const std::string address_;
  mutable Mutex mutex_;
  mutable CondVar arrived_;
  bool healthy_ ABSL_GUARDED_BY(mutex_) = true;
  bool ignores_cancel_ ABSL_GUARDED_BY(mutex_) = false;
  Answer answer_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<FakeOutgoingCall>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
