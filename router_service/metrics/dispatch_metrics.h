#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/pool_labels.h"

namespace penstock::router {

// What requests asked of the experts, and what the routing itself took.
struct DispatchFamilies {
  DispatchFamilies(prometheus::Registry& registry, double watts_per_core);

  const double watts_per_core;
  prometheus::Family<prometheus::Counter>& dispatches;
  prometheus::Family<prometheus::Counter>& degraded;
  prometheus::Family<prometheus::Counter>& joules;
  prometheus::Family<prometheus::Counter>& cpu;
  prometheus::Family<prometheus::Counter>& overhead;
  prometheus::Family<prometheus::Counter>& retries;
  prometheus::Family<prometheus::Counter>& hedges;
  prometheus::Family<prometheus::Counter>& escalations;
  prometheus::Family<prometheus::Counter>& explored;
};

// Of one pool. Thread-safe.
class PoolDispatches {
 public:
  // Families and labels outlive this.
  PoolDispatches(DispatchFamilies& families, PoolLabels& labels, std::string pool);

  void RequestFinished(const RouteEvent& event);

 private:
  using Counters = prometheus::Family<prometheus::Counter>;
  using ByWord = absl::flat_hash_map<std::string, prometheus::Counter*>;

  void CountRuns(const v1::Decision& decision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Kept, since adding to a family takes its lock and copies labels. Words are of closed sets.
  prometheus::Counter& Get(Counters& family, const char* label, const std::string& word,
                           ByWord& known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ByWord& ExpertOf(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  prometheus::Counter& Dispatch(const v1::Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  DispatchFamilies& families_;
  PoolLabels& labels_;
  const std::string pool_;
  prometheus::Counter& joules_;
  prometheus::Counter& cpu_;
  prometheus::Counter& overhead_;
  prometheus::Counter& retries_;
  prometheus::Counter& escalations_;
  Mutex mutex_;
  prometheus::Counter* explored_ ABSL_GUARDED_BY(mutex_) = nullptr;
  ByWord degraded_ ABSL_GUARDED_BY(mutex_);                                   // by reason
  ByWord hedges_ ABSL_GUARDED_BY(mutex_);                                     // by outcome
  absl::flat_hash_map<std::string, ByWord> experts_ ABSL_GUARDED_BY(mutex_);  // by reason
  ByWord others_ ABSL_GUARDED_BY(mutex_);  // of experts beyond what is told
};

}  // namespace penstock::router
