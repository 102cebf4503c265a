#pragma once

#include <thread>

#include "absl/functional/any_invocable.h"
#include "common/mutex.h"

namespace penstock::router {

// Where the requests of a window are assigned and resumed: away from the router's timers and from
// the threads that requests come on.
class BatchWorker {
 public:
  // What was given has run.
  virtual ~BatchWorker() = default;
  // `work` runs once. Not called again before it began.
  virtual void Run(absl::AnyInvocable<void()> work) = 0;
};

// One thread.
class ThreadBatchWorker final : public BatchWorker {
 public:
  ThreadBatchWorker();
  // Not on its own thread.
  ~ThreadBatchWorker() override;
  void Run(absl::AnyInvocable<void()> work) override;

 private:
  void Loop();

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::AnyInvocable<void()> next_ ABSL_GUARDED_BY(mutex_);  // null: none
  std::thread thread_;
};

}  // namespace penstock::router
