#pragma once

#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock {

// As config.v1.RetryBudget has them, with its defaults.
struct RetryBudgetOptions {
  double share = 0.1;
  double min_per_second = 10;
};

// How often requests may be asked again, so that failures do not multiply the load that
// may have caused them: a bucket of tokens, one a retry. Each request brings `share` of one and
// each second `min_per_second`; it holds ten seconds' income at most, requests counted at their
// rate of late. So between two moments there are no more retries than what the bucket held at the
// first one and came in since. Thread-safe.
class RetryBudget {
 public:
  RetryBudget(const RetryBudgetOptions& options, absl::Time now);

  void RequestCame(absl::Time now);
  // False: there is no token, and nothing is asked again.
  bool TryTake(absl::Time now);
  double tokens(absl::Time now);

 private:
  void Bring(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const RetryBudgetOptions options_;
  Mutex mutex_;
  absl::Time brought_ ABSL_GUARDED_BY(mutex_);
  // Requests, each counting exp(-age / 10 s): ten seconds' worth at a steady rate.
  double recent_ ABSL_GUARDED_BY(mutex_) = 0;
  double tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
