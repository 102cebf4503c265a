#include "common/serial_worker.h"

#include <utility>

namespace penstock {

SerialWorker::SerialWorker(size_t most) : most_(most), thread_([this] { Loop(); }) {}

SerialWorker::~SerialWorker() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

bool SerialWorker::Run(Work work) {
  MutexLock lock(mutex_);
  if (stopping_ || waiting_.size() >= most_) return false;
  waiting_.push_back(std::move(work));
  wake_.NotifyAll();
  return true;
}

void SerialWorker::Loop() {
  for (;;) {
    Work work;
    bool go_on = true;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) wake_.Wait(mutex_);
      if (waiting_.empty()) return;
      go_on = !stopping_;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work(go_on);
  }
}

}  // namespace penstock
