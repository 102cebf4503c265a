#pragma once

#include <prometheus/registry.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/swept_metrics.h"

namespace penstock::router {

// What a pool's requests of one window expected of its experts. Thread-safe.
class PoolQuality {
 public:
  struct Window {
    std::vector<std::string> experts;
    std::vector<double> quality;  // [experts], mean; NaN: nobody asked
    double forgone = 0;           // mean; NaN: no request had a choice by quality
  };

  void RequestFinished(const RouteEvent& event);
  // Of what came since the last call.
  Window Take();

 private:
  // False: the decision is of other experts, and the sums are worth nothing any more.
  bool Add(const v1::Decision& decision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::vector<std::string> experts_ ABSL_GUARDED_BY(mutex_);
  std::vector<double> quality_ ABSL_GUARDED_BY(mutex_);  // [experts], sum
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  double forgone_ ABSL_GUARDED_BY(mutex_) = 0;  // sum
  uint64_t choices_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Gauges of the windows. Not thread-safe: one sweep after the other.
class QualityMetrics {
 public:
  static constexpr absl::Duration kWindow = absl::Seconds(10);

  QualityMetrics(prometheus::Registry& registry, PoolLabels& labels);

  // Whether a window is over, so that Tell is due.
  bool Due(absl::Time now);
  void Tell(const std::string& pool, const PoolQuality::Window& window);
  void KeepOnly(const std::set<std::string>& pools);

 private:
  int64_t window_ = -1;  // that is open; -1: none yet
  ExpertGauges estimates_;
  PoolGauges regrets_;
};

}  // namespace penstock::router
