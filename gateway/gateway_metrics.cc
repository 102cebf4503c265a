#include "gateway/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <set>
#include <string>

#include "common/mutex.h"
#include "common/net/grpc_status.h"

namespace penstock::gateway {
namespace {

// Beyond this many pools, new ones count as `other`.
constexpr size_t kMaxPools = 100;
const prometheus::Histogram::BucketBoundaries kLatencySeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

}  // namespace

struct GatewayMetrics::Families {
  explicit Families(prometheus::Registry& registry)
      : requests(prometheus::BuildCounter()
                     .Name("penstock_gateway_requests_total")
                     .Help("ModelInfer requests answered, by pool and gRPC code")
                     .Register(registry)),
        latency(prometheus::BuildHistogram()
                    .Name("penstock_gateway_request_duration_seconds")
                    .Help("From a request's arrival to its answer")
                    .Register(registry)),
        retries(prometheus::BuildCounter()
                    .Name("penstock_gateway_retries_total")
                    .Help("Requests sent to a second router, by reason")
                    .Register(registry)),
        queued(prometheus::BuildGauge()
                   .Name("penstock_gateway_queued_requests")
                   .Help("Requests waiting for admission")
                   .Register(registry)
                   .Add({})),
        in_flight(prometheus::BuildGauge()
                      .Name("penstock_gateway_in_flight_requests")
                      .Help("Requests admitted and not answered yet")
                      .Register(registry)
                      .Add({})) {}

  // Names come from callers: only one that a router has answered for becomes a label.
  std::string PoolLabel(absl::string_view pool, bool answered) {
    MutexLock lock(mutex);
    std::string name(pool);
    if (pools.count(name) > 0) return name;
    if (!answered || pools.size() >= kMaxPools) return "other";
    pools.insert(name);
    return name;
  }

  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& latency;
  prometheus::Family<prometheus::Counter>& retries;
  prometheus::Gauge& queued;
  prometheus::Gauge& in_flight;
  Mutex mutex;
  std::set<std::string> pools ABSL_GUARDED_BY(mutex);
};

GatewayMetrics::GatewayMetrics(prometheus::Registry& registry)
    : families_(std::make_unique<Families>(registry)) {}

GatewayMetrics::~GatewayMetrics() = default;

void GatewayMetrics::RequestAnswered(absl::string_view pool, absl::StatusCode code,
                                     absl::Duration latency) {
  const std::string label = families_->PoolLabel(pool, code == absl::StatusCode::kOk);
  families_->requests.Add({{"pool", label}, {"code", std::string(StatusCodeName(code))}})
      .Increment();
  families_->latency.Add({{"pool", label}}, kLatencySeconds)
      .Observe(absl::ToDoubleSeconds(latency));
}

void GatewayMetrics::Retried(absl::string_view why) {
  families_->retries.Add({{"reason", std::string(why)}}).Increment();
}

void GatewayMetrics::Waiting(uint32_t queued, uint32_t in_flight) {
  families_->queued.Set(queued);
  families_->in_flight.Set(in_flight);
}

}  // namespace penstock::gateway
