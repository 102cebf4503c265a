#pragma once

#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock::gateway {

// Whether requests still wait for a store: not once several reads in a row took all the time that
// they have. Then one read now and then, for which nobody waits, finds out whether it answers
// again. A store that hangs costs a few requests their wait so, rather than all of them until its
// connection is given up. Thread-safe.
class StorePatience {
 public:
  static constexpr int kSilentReads = 3;
  static constexpr absl::Duration kProbePause = absl::Milliseconds(200);

  enum class Turn { kWait, kProbe, kSkip };

  Turn NextRead(absl::Time now) {
    MutexLock lock(mutex_);
    if (silent_ < kSilentReads) return Turn::kWait;
    if (now < probe_at_) return Turn::kSkip;
    probe_at_ = now + kProbePause;
    return Turn::kProbe;
  }

  // `silent`: it took all the time that a read has. Whatever else, an error included, is an answer.
  void ReadEnded(bool silent, absl::Time now) {
    MutexLock lock(mutex_);
    silent_ = silent ? silent_ + 1 : 0;
    if (silent_ == kSilentReads) probe_at_ = now + kProbePause;
  }

 private:
  Mutex mutex_;
  int silent_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time probe_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
