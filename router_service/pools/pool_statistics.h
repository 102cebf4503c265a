#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "router_service/pools/latency_window.h"

namespace penstock::router {

// Sums over the requests of a pool since the router started. Thread-safe.
class PoolStatistics {
 public:
  struct ExpertUse {
    uint64_t dispatches = 0;
    double joules = 0;
  };
  struct Totals {
    uint64_t successes = 0;
    uint64_t failures = 0;
    uint64_t rows = 0;  // of the successes
    absl::Duration success_time;
    absl::Duration failure_time;
    absl::Duration queue_time;    // as the experts reported
    absl::Duration compute_time;  // as the experts reported
    uint64_t reported = 0;        // dispatches with a load report
    double joules = 0;
    absl::Time last_inference = absl::UnixEpoch();
    uint64_t in_flight = 0;
    std::vector<ExpertUse> experts;  // by configuration order
  };

  explicit PoolStatistics(size_t experts);

  // Before anything is counted: the sums go on from those of `before`, expert i's from its from[i].
  // What is in flight ends there.
  void Continue(const PoolStatistics& before, const std::vector<std::optional<size_t>>& from);

  // False when `limit` requests are running; else the caller owes an Ended.
  bool Begin(uint64_t limit);
  void Ended(bool ok, uint64_t rows, absl::Duration latency, double joules, absl::Time now);
  void Dispatched(size_t expert, double joules);
  void Reported(absl::Duration queue, absl::Duration compute);

  Totals totals() const;
  const LatencyWindow& latencies() const { return latencies_; }

 private:
  LatencyWindow latencies_;
  mutable Mutex mutex_;
  Totals totals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
