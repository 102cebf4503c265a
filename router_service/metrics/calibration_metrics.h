#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/pool_labels.h"

namespace penstock::router {

// What experts were expected to take, and took: of answers alone, and of those with an expectation.
struct CalibrationFamilies {
  explicit CalibrationFamilies(prometheus::Registry& registry);

  prometheus::Family<prometheus::Counter>& predicted_latency;
  prometheus::Family<prometheus::Counter>& measured_latency;
  prometheus::Family<prometheus::Counter>& promises;
  prometheus::Family<prometheus::Counter>& predicted_joules;
  prometheus::Family<prometheus::Counter>& measured_joules;
};

// Of one pool. Thread-safe.
class PoolCalibration {
 public:
  // Families and labels outlive this.
  PoolCalibration(CalibrationFamilies& families, PoolLabels& labels, std::string pool);
  ~PoolCalibration();

  void RequestFinished(const RouteEvent& event);

 private:
  struct OfExpert;
  OfExpert& Find(const std::string& expert);

  CalibrationFamilies& families_;
  PoolLabels& labels_;
  const std::string pool_;
  Mutex mutex_;
  // Names beyond what is told share the series of "other".
  absl::flat_hash_map<std::string, OfExpert*> experts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<OfExpert>> by_label_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
