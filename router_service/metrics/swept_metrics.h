#pragma once

#include <prometheus/family.h>
#include <prometheus/gauge.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/metrics/pool_labels.h"

namespace penstock::router {

// Gauges of one family by pool, which a sweep sets. Of what is not known (NaN) there is none: a
// mean over routers goes by those that know. Of pools that are gone none is left. Not thread-safe:
// one sweep after the other.
class PoolGauges {
 public:
  using Family = prometheus::Family<prometheus::Gauge>;
  // Both outlive this.
  PoolGauges(Family& family, PoolLabels& labels) : family_(family), labels_(labels) {}

  void Set(const std::string& pool, double value);
  void KeepOnly(const std::set<std::string>& pools);

 private:
  Family& family_;
  PoolLabels& labels_;
  std::map<std::string, prometheus::Gauge*> gauges_;  // those that are told
};

// The same by pool and expert.
class ExpertGauges {
 public:
  using Family = prometheus::Family<prometheus::Gauge>;
  ExpertGauges(Family& family, PoolLabels& labels) : family_(family), labels_(labels) {}

  // One value for each; experts that the pool had before and has no more leave no gauge behind.
  void Set(const std::string& pool, const std::vector<std::string>& experts,
           absl::Span<const double> values);
  void KeepOnly(const std::set<std::string>& pools);

 private:
  struct OfPool {
    std::vector<std::string> experts;
    std::vector<prometheus::Gauge*> gauges;  // null: not told
  };
  void Rename(const std::vector<std::string>& experts, OfPool& known);

  Family& family_;
  PoolLabels& labels_;
  std::map<std::string, OfPool> pools_;
};

}  // namespace penstock::router
