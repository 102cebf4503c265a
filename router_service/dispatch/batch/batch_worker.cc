#include "router_service/dispatch/batch/batch_worker.h"

#include <utility>

namespace penstock::router {

ThreadBatchWorker::ThreadBatchWorker() : thread_([this] { Loop(); }) {}

ThreadBatchWorker::~ThreadBatchWorker() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

void ThreadBatchWorker::Run(absl::AnyInvocable<void()> work) {
  {
    MutexLock lock(mutex_);
    next_ = std::move(work);
  }
  wake_.NotifyOne();
}

void ThreadBatchWorker::Loop() {
  for (;;) {
    absl::AnyInvocable<void()> work;
    {
      MutexLock lock(mutex_);
      while (next_ == nullptr && !stopping_) wake_.Wait(mutex_);
      if (next_ == nullptr) return;
      work.swap(next_);
    }
    work();
  }
}

}  // namespace penstock::router
