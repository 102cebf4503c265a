#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "router_service/cost/cost_model.h"
#include "router_service/pools/latency_window.h"

namespace penstock::router {

// One endpoint of an expert, and what this router has seen of it. Thread-safe.
class Replica {
 public:
  explicit Replica(InferTarget& target) : target_(target) {}

  InferTarget& target() const { return target_; }
  bool healthy() const { return target_.healthy(); }
  std::string address() const { return std::string(target_.address()); }

  void AttemptStarted();
  // `answered`: the latency is the replica's word; a cancelled attempt says nothing about it.
  void AttemptEnded(bool answered, bool failed, absl::Duration latency);
  // An answer's trailer told the queue as it was then.
  void QueueReported(double depth, absl::Time now);

  // What would be ahead of a request that is sent now.
  ReplicaLoad Load(absl::Time now) const;
  // Requests a second that it serves, one at a time; 0 before the first answer.
  double rate() const;

  uint64_t in_flight() const;
  uint64_t requests() const;
  uint64_t failures() const;
  const LatencyWindow& latencies() const { return latencies_; }

 private:
  InferTarget& target_;
  LatencyWindow latencies_;
  mutable Mutex mutex_;
  uint64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  double mean_latency_s_ ABSL_GUARDED_BY(mutex_) = 0;  // exponentially forgetting
  double reported_queue_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time reported_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  uint64_t started_since_report_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
