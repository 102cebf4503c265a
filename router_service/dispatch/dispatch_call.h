#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/mutex.h"
#include "router_service/dispatch/expert_ask.h"

namespace penstock::router {

struct DispatchResult {
  // OK: every ask has come to its own end. Else why it was ended from outside: DEADLINE_EXCEEDED,
  // CANCELLED; asks that were open then have that status.
  absl::Status end;
  std::vector<AskResult> asks;  // in order of dispatch
};

// The fan-out of one request. Asks several experts at once, then whom `next` names after all have
// answered (a cascade's next stage, somebody instead of an expert that failed), until it names
// nobody, the deadline passes or the client goes away. Thread-safe.
class DispatchCall : public std::enable_shared_from_this<DispatchCall> {
 public:
  using Next = absl::AnyInvocable<std::vector<AskSpec>(const std::vector<AskResult>& so_far)>;
  using Done = absl::AnyInvocable<void(DispatchResult)>;

  // `next` runs on one thread at a time; `done` runs once, possibly before Start returns. `enough`:
  // once so many asks are answered, those still open are cancelled; 0: all are waited for.
  DispatchCall(ExpertAsk::Context context, Next next, Done done, size_t enough = 0);

  void Start(std::vector<AskSpec> first);
  // Cancels everything at the experts; `done` still runs.
  void Cancel();

 private:
  void Add(std::vector<AskSpec> specs);
  void OnAskDone(size_t index, AskResult result);
  // Those still open, once enough have answered: what they would say is not needed.
  std::vector<std::pair<size_t, std::shared_ptr<ExpertAsk>>> Spare()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(absl::Status why);
  void Complete();

  const ExpertAsk::Context context_;
  const size_t enough_;
  Mutex mutex_;
  Next next_;  // touched by one thread at a time: the one that brought the last open answer
  Done done_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<ExpertAsk>> asks_ ABSL_GUARDED_BY(mutex_);
  // Written under the mutex while asks are open, read by `next_` while none is.
  std::vector<AskResult> results_;
  std::vector<bool> answered_ ABSL_GUARDED_BY(mutex_);
  size_t open_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
  bool completed_ ABSL_GUARDED_BY(mutex_) = false;
  Timers::Id deadline_timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
