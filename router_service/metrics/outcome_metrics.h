#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstddef>
#include <string>

#include "router_service/dispatch/route_observer.h"
#include "router_service/metrics/lazy_series.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {

// How requests ended: their code, how long they took, whether that was in time, and why there was
// no answer.
struct OutcomeFamilies {
  explicit OutcomeFamilies(prometheus::Registry& registry);

  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& latency;
  prometheus::Family<prometheus::Counter>& deadlines;
  prometheus::Family<prometheus::Counter>& refusals;
};

// Of one pool. Thread-safe.
class PoolOutcomes {
 public:
  // `pool`: the label's value. The families outlive this.
  PoolOutcomes(OutcomeFamilies& families, std::string pool);

  void RequestFinished(const RouteEvent& event);

 private:
  static constexpr size_t kCodes = 17;

  OutcomeFamilies& families_;
  const std::string pool_;
  LazySeries<prometheus::Counter, kCodes> requests_;
  LazySeries<prometheus::Histogram, kCodes> latency_;
  LazySeries<prometheus::Counter, 2> deadlines_;  // missed, met
  LazySeries<prometheus::Counter, kRefusals> refusals_;
};

}  // namespace penstock::router
