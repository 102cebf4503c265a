#include "gateway/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "common/mutex.h"
#include "common/net/grpc_status.h"

namespace penstock::gateway {
namespace {

// Beyond this many pools, new ones count as `other`.
constexpr size_t kMaxPools = 100;
const prometheus::Histogram::BucketBoundaries kLatencySeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

const prometheus::Histogram::BucketBoundaries kWaitSeconds = {
    0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// No default: a new one without a name does not compile.
const char* SourceName(CacheObserver::Source source) {
  switch (source) {
    case CacheObserver::Source::kLocal:
      return "local";
    case CacheObserver::Source::kShared:
      return "store";
    case CacheObserver::Source::kFlight:
      return "flight";
    case CacheObserver::Source::kRun:
      return "run";
    case CacheObserver::Source::kBypass:
      return "bypass";
  }
  return "";
}

const char* OutcomeName(CacheObserver::Outcome outcome) {
  switch (outcome) {
    case CacheObserver::Outcome::kKept:
      return "kept";
    case CacheObserver::Outcome::kFailed:
      return "failed";
    case CacheObserver::Outcome::kDegraded:
      return "degraded";
    case CacheObserver::Outcome::kOutdated:
      return "outdated";
    case CacheObserver::Outcome::kTooLarge:
      return "too_large";
  }
  return "";
}

const char* StoreResultName(CacheObserver::StoreResult result) {
  switch (result) {
    case CacheObserver::StoreResult::kHit:
      return "hit";
    case CacheObserver::StoreResult::kMiss:
      return "miss";
    case CacheObserver::StoreResult::kWritten:
      return "written";
    case CacheObserver::StoreResult::kReadFailed:
      return "read_failed";
    case CacheObserver::StoreResult::kReadSkipped:
      return "read_skipped";
    case CacheObserver::StoreResult::kWriteFailed:
      return "write_failed";
  }
  return "";
}

const char* ReasonName(ShedReason reason) {
  switch (reason) {
    case ShedReason::kQuota:
      return "quota";
    case ShedReason::kQueueFull:
      return "queue_full";
    case ShedReason::kPushedOut:
      return "pushed_out";
    case ShedReason::kNoTime:
      return "no_time";
    case ShedReason::kOutOfTime:
      return "out_of_time";
    case ShedReason::kDeadline:
      return "deadline";
  }
  return "";
}

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
        credentials(prometheus::BuildCounter()
                        .Name("penstock_gateway_credential_reloads_total")
                        .Help("Files of credentials that changed and were read again, by result")
                        .Register(registry)),
        cache_requests(prometheus::BuildCounter()
                           .Name("penstock_gateway_cache_requests_total")
                           .Help("Requests for cacheable pools, by pool and what answered them")
                           .Register(registry)),
        cache_runs(prometheus::BuildCounter()
                       .Name("penstock_gateway_cache_runs_total")
                       .Help("Runs whose answers may be kept, by pool and what became of it")
                       .Register(registry)),
        cache_store(prometheus::BuildCounter()
                        .Name("penstock_gateway_cache_store_calls_total")
                        .Help("Reads and writes of the cache's store, by result")
                        .Register(registry)),
        cache_policies(prometheus::BuildCounter()
                           .Name("penstock_gateway_cache_policy_reads_total")
                           .Help("Times that a router was asked which answers may be kept")
                           .Register(registry)),
        cache_evictions(prometheus::BuildCounter()
                            .Name("penstock_gateway_cache_evictions_total")
                            .Help("Answers that had to go before their time")
                            .Register(registry)
                            .Add({})),
        cache_bytes(prometheus::BuildGauge()
                        .Name("penstock_gateway_cache_bytes")
                        .Help("Bytes of kept answers, keys and bookkeeping included")
                        .Register(registry)
                        .Add({})),
        cache_entries(prometheus::BuildGauge()
                          .Name("penstock_gateway_cache_entries")
                          .Help("Answers that are kept")
                          .Register(registry)
                          .Add({})),
        cache_flights(prometheus::BuildGauge()
                          .Name("penstock_gateway_cache_flights")
                          .Help("Runs under way that equal requests may wait for")
                          .Register(registry)
                          .Add({})),
        queued(prometheus::BuildGauge()
                   .Name("penstock_gateway_queued_requests")
                   .Help("Requests waiting for admission")
                   .Register(registry)
                   .Add({})),
        in_flight(prometheus::BuildGauge()
                      .Name("penstock_gateway_in_flight_requests")
                      .Help("Requests admitted and not answered yet")
                      .Register(registry)
                      .Add({})),
        queue_wait(prometheus::BuildHistogram()
                       .Name("penstock_gateway_queue_wait_seconds")
                       .Help("How long requests waited for admission that were admitted")
                       .Register(registry)
                       .Add({}, kWaitSeconds)),
        sheds(prometheus::BuildCounter()
                  .Name("penstock_gateway_sheds_total")
                  .Help("Requests refused for want of room or time, by reason")
                  .Register(registry)),
        limit(prometheus::BuildGauge()
                  .Name("penstock_gateway_concurrency_limit")
                  .Help("Requests that may be in flight at once, by pool")
                  .Register(registry)) {}

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
  prometheus::Family<prometheus::Counter>& credentials;
  prometheus::Family<prometheus::Counter>& cache_requests;
  prometheus::Family<prometheus::Counter>& cache_runs;
  prometheus::Family<prometheus::Counter>& cache_store;
  prometheus::Family<prometheus::Counter>& cache_policies;
  prometheus::Counter& cache_evictions;
  prometheus::Gauge& cache_bytes;
  prometheus::Gauge& cache_entries;
  prometheus::Gauge& cache_flights;
  prometheus::Gauge& queued;
  prometheus::Gauge& in_flight;
  prometheus::Histogram& queue_wait;
  prometheus::Family<prometheus::Counter>& sheds;
  prometheus::Family<prometheus::Gauge>& limit;
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

void GatewayMetrics::CredentialsRead(absl::string_view file, const absl::Status& status) {
  const std::string name(file);
  families_->credentials.Add({{"file", name}, {"result", status.ok() ? "taken" : "refused"}})
      .Increment();
  if (status.ok()) {
    spdlog::info("event=credentials_read file={} result=taken", name);
  } else {
    spdlog::error("event=credentials_read file={} result=refused why=\"{}\"", name,
                  absl::CEscape(status.message()));
  }
}

void GatewayMetrics::Answered(absl::string_view pool, Source source) {
  families_->cache_requests
      .Add({{"pool", families_->PoolLabel(pool, true)}, {"source", SourceName(source)}})
      .Increment();
}

void GatewayMetrics::Ran(absl::string_view pool, Outcome outcome) {
  families_->cache_runs
      .Add({{"pool", families_->PoolLabel(pool, true)}, {"outcome", OutcomeName(outcome)}})
      .Increment();
}

void GatewayMetrics::Holds(size_t bytes, size_t entries) {
  families_->cache_bytes.Set(static_cast<double>(bytes));
  families_->cache_entries.Set(static_cast<double>(entries));
}

void GatewayMetrics::Evicted(size_t entries) {
  families_->cache_evictions.Increment(static_cast<double>(entries));
}

void GatewayMetrics::FlightsOpen(size_t flights) {
  families_->cache_flights.Set(static_cast<double>(flights));
}

void GatewayMetrics::StoreAnswered(StoreResult result) {
  families_->cache_store.Add({{"result", StoreResultName(result)}}).Increment();
}

void GatewayMetrics::PoliciesRead(bool ok) {
  families_->cache_policies.Add({{"result", ok ? "ok" : "failed"}}).Increment();
}

void GatewayMetrics::Waiting(uint32_t queued, uint32_t in_flight) {
  families_->queued.Set(queued);
  families_->in_flight.Set(in_flight);
}

void GatewayMetrics::Waited(absl::Duration waited) {
  families_->queue_wait.Observe(absl::ToDoubleSeconds(waited));
}

void GatewayMetrics::Shed(ShedReason reason) {
  families_->sheds.Add({{"reason", ReasonName(reason)}}).Increment();
}

void GatewayMetrics::LimitChanged(absl::string_view pool, uint32_t limit) {
  families_->limit.Add({{"pool", families_->PoolLabel(pool, true)}}).Set(limit);
}

}  // namespace penstock::gateway
