#include "router_service/pools/replica.h"

#include <algorithm>

namespace penstock::router {
namespace {
// A queue is gone within a second at the rates that make latency budgets meaningful.
constexpr absl::Duration kReportLife = absl::Seconds(1);
// Memory of about twenty answers.
constexpr double kForget = 0.05;
}  // namespace

void Replica::AttemptStarted() {
  MutexLock lock(mutex_);
  ++in_flight_;
  ++requests_;
  ++started_since_report_;
}

void Replica::AttemptEnded(bool answered, bool failed, absl::Duration latency) {
  if (answered) latencies_.Add(latency);
  MutexLock lock(mutex_);
  --in_flight_;
  if (failed) ++failures_;
  if (!answered) return;
  const double seconds = absl::ToDoubleSeconds(latency);
  mean_latency_s_ =
      mean_latency_s_ == 0 ? seconds : mean_latency_s_ + kForget * (seconds - mean_latency_s_);
}

void Replica::QueueReported(double depth, absl::Time now) {
  MutexLock lock(mutex_);
  reported_queue_ = depth;
  reported_at_ = now;
  started_since_report_ = 0;
}

ReplicaLoad Replica::Load(absl::Time now) const {
  MutexLock lock(mutex_);
  ReplicaLoad load;
  if (now - reported_at_ > kReportLife) {
    load.in_flight = static_cast<double>(in_flight_);
  } else {
    load.queue_depth = reported_queue_;
    load.in_flight = static_cast<double>(std::min(in_flight_, started_since_report_));
  }
  return load;
}

double Replica::rate() const {
  MutexLock lock(mutex_);
  return mean_latency_s_ > 0 ? 1 / mean_latency_s_ : 0;
}

uint64_t Replica::in_flight() const {
  MutexLock lock(mutex_);
  return in_flight_;
}

uint64_t Replica::requests() const {
  MutexLock lock(mutex_);
  return requests_;
}

uint64_t Replica::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

}  // namespace penstock::router
