#pragma once

#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock::expert {

// What OIP's ModelStatistics wants to know of one model, since start. Thread-safe.
class ModelStatistics {
 public:
  struct Sum {
    uint64_t count = 0;
    absl::Duration total;

    void Add(absl::Duration duration) {
      ++count;
      total += duration;
    }
  };
  struct Snapshot {
    absl::Time last_inference = absl::UnixEpoch();  // the epoch: never
    uint64_t inference_count = 0;                   // rows
    uint64_t execution_count = 0;                   // batches
    Sum success, fail, queue, compute_input, compute_infer, compute_output, cancel;
    uint64_t rejected = 0, broken = 0;  // of `fail`: those of Failure
    std::map<int64_t, Sum> batches;  // rows of an execution -> compute_infer
  };
  struct Timing {
    absl::Duration total, queue, input, infer, output;
  };
  enum class Failure : uint8_t {
    kRejected,  // the queue was full, or it waited too long
    kBroken,    // the execution failed
    kOther,     // such as a request that the model does not take
  };

  void Succeeded(int64_t rows, const Timing& timing, absl::Time now) {
    MutexLock lock(mutex_);
    s_.last_inference = now;
    s_.inference_count += static_cast<uint64_t>(rows);
    s_.success.Add(timing.total);
    s_.queue.Add(timing.queue);
    s_.compute_input.Add(timing.input);
    s_.compute_infer.Add(timing.infer);
    s_.compute_output.Add(timing.output);
  }
  void Failed(absl::Duration total, Failure why) {
    MutexLock lock(mutex_);
    s_.fail.Add(total);
    if (why == Failure::kRejected) ++s_.rejected;
    if (why == Failure::kBroken) ++s_.broken;
  }
  void Cancelled(absl::Duration total) {
    MutexLock lock(mutex_);
    s_.cancel.Add(total);
  }
  void Executed(int64_t rows, absl::Duration infer) {
    MutexLock lock(mutex_);
    ++s_.execution_count;
    batches_[rows].Add(infer);
  }
  Snapshot Get() const {
    MutexLock lock(mutex_);
    Snapshot all = s_;
    all.batches = batches_;
    return all;
  }
  // Without `batches`, for who asks often.
  Snapshot Totals() const {
    MutexLock lock(mutex_);
    return s_;
  }

 private:
  mutable Mutex mutex_;
  Snapshot s_ ABSL_GUARDED_BY(mutex_);  // without `batches`
  std::map<int64_t, Sum> batches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::expert
