#include "router_service/pools/replica.h"

#include <algorithm>

namespace penstock::router {
namespace {
// A queue is gone within a second at the rates that make latency budgets meaningful.
constexpr absl::Duration kReportLife = absl::Seconds(1);
// Memory of about twenty answers.
constexpr double kForget = 0.05;
}  // namespace

double Replica::AttemptStarted(absl::Time now) {
  MutexLock lock(mutex_);
  const double ahead = InFlight(now);
  ++in_flight_;
  ++requests_;
  ++started_since_report_;
  ++started_since_in_flight_;
  return ahead;
}

void Replica::AttemptEnded(bool answered, bool failed, absl::Duration latency) {
  if (answered) latencies_.Add(latency);
  MutexLock lock(mutex_);
  --in_flight_;
  if (failed) ++failures_;
  unanswered_ = !answered;
  if (!answered) return;
  const double seconds = absl::ToDoubleSeconds(latency);
  mean_latency_s_ =
      mean_latency_s_ == 0 ? seconds : mean_latency_s_ + kForget * (seconds - mean_latency_s_);
}

void Replica::Observe(double in_flight, absl::Duration latency, absl::Time now) {
  MutexLock lock(mutex_);
  by_load_.Add(in_flight, latency, now);
}

void Replica::QueueReported(double depth, absl::Time now) {
  MutexLock lock(mutex_);
  reported_queue_ = depth;
  reported_at_ = now;
  started_since_report_ = 0;
}

void Replica::InFlightReported(double in_flight, absl::Time now) {
  MutexLock lock(mutex_);
  reported_in_flight_ = in_flight;
  in_flight_reported_at_ = now;
  started_since_in_flight_ = 0;
}

void Replica::LoadStreamed(double in_flight, absl::Time now) {
  InFlightReported(in_flight, now);
  MutexLock lock(mutex_);
  streamed_at_ = now;
}

bool Replica::streams_load(absl::Time now) const {
  MutexLock lock(mutex_);
  return now - streamed_at_ <= kReportLife;
}

void Replica::OthersReported(double in_flight, absl::Time at) {
  MutexLock lock(mutex_);
  others_ = in_flight;
  others_at_ = at;
}

bool Replica::SaysInFlight(absl::Time now) const {
  return now - in_flight_reported_at_ <= kReportLife;
}

double Replica::Others(absl::Time now) const {
  return now - others_at_ > kReportLife ? 0 : others_;
}

ReplicaLoad Replica::Load(absl::Time now) const {
  MutexLock lock(mutex_);
  ReplicaLoad load;
  if (now - reported_at_ > kReportLife) {
    load.in_flight = static_cast<double>(in_flight_) + (SaysInFlight(now) ? 0 : Others(now));
  } else {
    load.queue_depth = reported_queue_;
    load.in_flight = static_cast<double>(std::min(in_flight_, started_since_report_));
  }
  return load;
}

double Replica::InFlight(absl::Time now) const {
  const auto own = static_cast<double>(in_flight_);
  if (!SaysInFlight(now)) return own + Others(now);
  // A report may miss what is on its way there, or held up before it is counted.
  return std::max(own, reported_in_flight_ + static_cast<double>(started_since_in_flight_));
}

ReplicaView Replica::View(absl::Time now, absl::Duration age) const {
  ReplicaView view;
  view.healthy = healthy();
  MutexLock lock(mutex_);
  view.in_flight = InFlight(now);
  view.rate = mean_latency_s_ > 0 ? 1 / mean_latency_s_ : 0;
  view.latency_s = by_load_.At(view.in_flight, now - age);
  view.last_latency_s =
      view.latency_s ? view.latency_s : by_load_.At(view.in_flight, absl::InfinitePast());
  view.heard = by_load_.newest();
  view.unanswered = unanswered_;
  view.asked = in_flight_ > 0;
  return view;
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
