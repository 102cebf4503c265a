#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "router_service/cost/cost_model.h"
#include "router_service/pools/latency_window.h"
#include "router_service/replicas/load_latency.h"
#include "router_service/replicas/replica_view.h"
#include "router_service/resilience/replica_guard.h"

namespace penstock::router {

// One endpoint of an expert, and what this router has seen of it. Thread-safe.
class Replica {
 public:
  explicit Replica(InferTarget& target) : target_(target) {}

  InferTarget& target() const { return target_; }
  bool healthy() const { return target_.healthy(); }
  // Requests may go there: it is healthy, and its breaker is closed.
  bool available() const { return healthy() && guard_.admits(); }
  ReplicaGuard& guard() { return guard_; }
  const ReplicaGuard& guard() const { return guard_; }
  std::string address() const { return std::string(target_.address()); }

  // How many requests are ahead of it there.
  double AttemptStarted(absl::Time now);
  // `answered`: the latency is the replica's word; a cancelled attempt says nothing about it.
  void AttemptEnded(bool answered, bool failed, absl::Duration latency);
  // The attempt that found `in_flight` ahead of it was answered after `latency`, or was still out
  // after it when one that was sent later elsewhere had its answer.
  void Observe(double in_flight, absl::Duration latency, absl::Time now);
  // An answer's trailer told the queue as it was then.
  void QueueReported(double depth, absl::Time now);
  // A trailer or the stream of its loads told how many requests were there, those that wait too.
  void InFlightReported(double in_flight, absl::Time now);
  // The stream did, which every router hears.
  void LoadStreamed(double in_flight, absl::Time now);
  bool streams_load(absl::Time now) const;
  // What other routers had in flight here at `at`, as they said. It counts where the replica itself
  // says nothing: its own word holds their requests too.
  void OthersReported(double in_flight, absl::Time at);

  // What would be ahead of a request that is sent now.
  ReplicaLoad Load(absl::Time now) const;
  // For whoever picks one. `age`: after which a latency is of late no more. The rate is 0 before
  // the first answer.
  ReplicaView View(absl::Time now, absl::Duration age) const;

  uint64_t in_flight() const;
  uint64_t requests() const;
  uint64_t failures() const;
  const LatencyWindow& latencies() const { return latencies_; }

 private:
  double InFlight(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SaysInFlight(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  double Others(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  InferTarget& target_;
  LatencyWindow latencies_;
  ReplicaGuard guard_;
  mutable Mutex mutex_;
  LoadLatency by_load_ ABSL_GUARDED_BY(mutex_);
  bool unanswered_ ABSL_GUARDED_BY(mutex_) = false;  // the last attempt that ended
  uint64_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  double mean_latency_s_ ABSL_GUARDED_BY(mutex_) = 0;  // exponentially forgetting
  double reported_queue_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time reported_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  uint64_t started_since_report_ ABSL_GUARDED_BY(mutex_) = 0;
  double reported_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time in_flight_reported_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  uint64_t started_since_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time streamed_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  double others_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time others_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace penstock::router
