#include "router_service/pools/guard_loop.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/random.h"

namespace penstock::router {

GuardLoop::GuardLoop(const PoolCatalogue& catalogue, const Clock& clock, Timers& timers,
                     uint64_t seed, OnSwept on_swept)
    : catalogue_(catalogue),
      clock_(clock),
      timers_(timers),
      seed_(seed),
      on_swept_(std::move(on_swept)) {}

void GuardLoop::Start() { Tick(); }

void GuardLoop::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) timers_.Cancel(timer_);
}

const GuardLoop::Settings& GuardLoop::SettingsOf(const std::shared_ptr<const Pool>& pool) {
  Settings& settings = settings_[pool->name()];
  if (settings.pool == pool) return settings;
  settings.pool = pool;
  std::string text = pool->config.resilience().SerializeAsString();
  if (settings.breaker != nullptr && text == settings.text) return settings;
  settings.text = std::move(text);
  // The configuration was checked before the pool was made.
  const ResilienceOptions options = ReadResilience(pool->config).value_or(ResilienceOptions());
  settings.probe_timeout = options.probe_timeout;
  settings.ejection = options.ejection;
  settings.breaker = std::make_shared<const BreakerOptions>(options.breaker);
  return settings;
}

void GuardLoop::Tick() {
  const absl::Time now = clock_.Now();
  MutexLock lock(mutex_);
  if (stopped_) return;
  const bool sweeps = now >= next_sweep_;
  if (sweeps) next_sweep_ = now + kSweep;
  std::set<std::string> names;
  const std::vector<std::shared_ptr<const Pool>> pools = catalogue_.All();
  for (const std::shared_ptr<const Pool>& pool : pools) {
    names.insert(pool->name());
    const Settings& settings = SettingsOf(pool);
    for (size_t e = 0; e < pool->experts.size(); ++e) {
      const PoolExpert& expert = pool->experts[e];
      for (size_t r = 0; r < expert.replicas.size(); ++r) {
        ReplicaGuard& guard = expert.replicas[r]->guard();
        if (guard.Configure(settings.breaker, CounterRandom(seed_, replicas_seen_).Bits())) {
          ++replicas_seen_;
        }
        // Who cannot be reached is not probed: health says when it is back, and then at once.
        if (expert.replicas[r]->healthy() && guard.TakeProbe(now)) {
          Probe(expert, r, settings.probe_timeout);
        }
      }
      if (sweeps) Sweep(*pool, e, settings.ejection, now);
    }
  }
  if (sweeps && on_swept_) on_swept_(pools);
  for (auto it = settings_.begin(); it != settings_.end();) {
    it = names.count(it->first) > 0 ? std::next(it) : settings_.erase(it);
  }
  timer_ = timers_.Schedule(now + kTick, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->Tick();
  });
}

void GuardLoop::Probe(const PoolExpert& expert, size_t replica, absl::Duration timeout) const {
  // Both are kept: the answer may come when the expert has them no more.
  expert.connections[replica]->Probe(
      expert.model, expert.version, timeout,
      [replica = expert.replicas[replica], connection = expert.connections[replica],
       &clock = clock_](const absl::Status& status) {
        replica->guard().ProbeEnded(status.ok(), clock.Now());
      });
}

void GuardLoop::Sweep(const Pool& pool, size_t expert, const EjectionOptions& options,
                      absl::Time now) {
  const std::vector<std::shared_ptr<Replica>>& replicas = pool.experts[expert].replicas;
  std::vector<EjectionCandidate> candidates;
  for (const std::shared_ptr<Replica>& replica : replicas) {
    candidates.push_back(replica->guard().Candidate(now));
    candidates.back().available = replica->available();
  }
  for (const size_t index : SweepOutliers(absl::MakeSpan(candidates), options, now)) {
    pool.record->resilience.Ejected(expert, candidates[index].ejection.reason);
  }
  for (size_t i = 0; i < replicas.size(); ++i) {
    replicas[i]->guard().SetEjection(candidates[i].ejection);
  }
}

}  // namespace penstock::router
