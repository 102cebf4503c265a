#include "router_service/metrics/swept_metrics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::router {

void PoolGauges::Set(const std::string& pool, double value) {
  auto known = gauges_.find(pool);
  if (std::isnan(value)) {
    if (known == gauges_.end()) return;
    family_.Remove(known->second);
    gauges_.erase(known);
    return;
  }
  if (known == gauges_.end()) {
    if (!labels_.Admit(pool)) return;
    known = gauges_.emplace(pool, &family_.Add({{"pool", pool}})).first;
  }
  known->second->Set(value);
}

void PoolGauges::KeepOnly(const std::set<std::string>& pools) {
  for (auto it = gauges_.begin(); it != gauges_.end();) {
    if (pools.count(it->first) > 0) {
      ++it;
      continue;
    }
    family_.Remove(it->second);
    it = gauges_.erase(it);
  }
}

void ExpertGauges::Rename(const std::vector<std::string>& experts, OfPool& known) {
  OfPool next;
  next.experts = experts;
  next.gauges.resize(experts.size());
  for (size_t i = 0; i < known.gauges.size(); ++i) {
    const auto kept = std::find(experts.begin(), experts.end(), known.experts[i]);
    if (kept != experts.end()) {
      next.gauges[static_cast<size_t>(kept - experts.begin())] = known.gauges[i];
    } else if (known.gauges[i] != nullptr) {
      family_.Remove(known.gauges[i]);
    }
  }
  known = std::move(next);
}

void ExpertGauges::Set(const std::string& pool, const std::vector<std::string>& experts,
                       absl::Span<const double> values) {
  OfPool& known = pools_[pool];
  if (known.experts != experts) Rename(experts, known);
  for (size_t i = 0; i < known.gauges.size() && i < values.size(); ++i) {
    prometheus::Gauge*& gauge = known.gauges[i];
    if (std::isnan(values[i])) {
      if (gauge != nullptr) family_.Remove(gauge);
      gauge = nullptr;
      continue;
    }
    if (gauge == nullptr) {
      if (!labels_.Admit(pool, experts[i])) continue;
      gauge = &family_.Add({{"pool", pool}, {"expert", experts[i]}});
    }
    gauge->Set(values[i]);
  }
}

void ExpertGauges::KeepOnly(const std::set<std::string>& pools) {
  for (auto it = pools_.begin(); it != pools_.end();) {
    if (pools.count(it->first) > 0) {
      ++it;
      continue;
    }
    Rename({}, it->second);
    it = pools_.erase(it);
  }
}

}  // namespace penstock::router
