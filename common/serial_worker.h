#pragma once

#include <cstddef>
#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "common/mutex.h"

namespace penstock {

// A thread that does one thing after the other, of which so many may wait: for what may block,
// asked for on threads that may not. Thread-safe.
class SerialWorker {
 public:
  // With false: the worker ends, and nothing is to be done.
  using Work = absl::AnyInvocable<void(bool go_on)>;

  explicit SerialWorker(size_t most);
  // What is being done is finished; what waits is told.
  ~SerialWorker();

  // False, and `work` is not kept: enough is waiting.
  bool Run(Work work);

 private:
  void Loop();

  const size_t most_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock
