#include "router_service/pools/pool_statistics.h"

#include <utility>

namespace penstock::router {

PoolStatistics::PoolStatistics(size_t experts) {
  MutexLock lock(mutex_);
  totals_.experts.resize(experts);
}

void PoolStatistics::Continue(const PoolStatistics& before,
                              const std::vector<std::optional<size_t>>& from) {
  Totals totals = before.totals();
  std::vector<ExpertUse> experts(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i].has_value()) experts[i] = totals.experts[*from[i]];
  }
  totals.experts = std::move(experts);
  totals.in_flight = 0;
  MutexLock lock(mutex_);
  totals_ = std::move(totals);
}

bool PoolStatistics::Begin(uint64_t limit) {
  MutexLock lock(mutex_);
  if (totals_.in_flight >= limit) return false;
  ++totals_.in_flight;
  return true;
}

void PoolStatistics::Ended(bool ok, uint64_t rows, absl::Duration latency, double joules,
                           absl::Time now) {
  if (ok) latencies_.Add(latency);
  MutexLock lock(mutex_);
  --totals_.in_flight;
  totals_.joules += joules;
  totals_.last_inference = now;
  if (ok) {
    ++totals_.successes;
    totals_.rows += rows;
    totals_.success_time += latency;
  } else {
    ++totals_.failures;
    totals_.failure_time += latency;
  }
}

void PoolStatistics::Dispatched(size_t expert, double joules) {
  MutexLock lock(mutex_);
  ++totals_.experts[expert].dispatches;
  totals_.experts[expert].joules += joules;
}

void PoolStatistics::Reported(absl::Duration queue, absl::Duration compute) {
  MutexLock lock(mutex_);
  ++totals_.reported;
  totals_.queue_time += queue;
  totals_.compute_time += compute;
}

PoolStatistics::Totals PoolStatistics::totals() const {
  MutexLock lock(mutex_);
  return totals_;
}

}  // namespace penstock::router
