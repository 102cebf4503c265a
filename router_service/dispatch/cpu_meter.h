#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/time/thread_cpu.h"

namespace penstock::router {

// CPU of a request's own code, which runs in stretches on several threads. A thread's CPU clock is
// a system call, so one request in kEvery is metered and counts for all of them. Not thread-safe.
class CpuMeter {
 public:
  static constexpr uint64_t kEvery = 8;

  explicit CpuMeter(uint64_t number) : metered_(number % kEvery == 0) {}

  // A stretch on the calling thread.
  void Start() {
    if (metered_) start_ = ThreadCpuTime();
  }
  void Stop() {
    if (metered_) total_ += ThreadCpuTime() - start_;
  }
  absl::Duration total() const { return static_cast<int64_t>(kEvery) * total_; }

 private:
  bool metered_;
  absl::Duration start_;
  absl::Duration total_;
};

}  // namespace penstock::router
