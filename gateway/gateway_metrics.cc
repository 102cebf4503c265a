#include "gateway/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/logging/log.h"
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
                    .Help("From a request's arrival to its answer, by pool and gRPC code")
                    .Register(registry)),
        deadlines(prometheus::BuildCounter()
                      .Name("penstock_gateway_deadlines_total")
                      .Help("Requests with a deadline that were answered with OK by then (met), or "
                            "had no answer by then (missed); those that failed before are neither")
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
                  .Help("Requests refused for want of room or time, by pool and reason")
                  .Register(registry)),
        limit(prometheus::BuildGauge()
                  .Name("penstock_gateway_concurrency_limit")
                  .Help("Requests that may be in flight at once, by pool")
                  .Register(registry)) {}

  // Adding to a family takes a lock and copies labels, so its answers are kept.
  struct OfCode {
    prometheus::Counter* requests = nullptr;
    prometheus::Histogram* latency = nullptr;
  };
  struct OfPool {
    std::string label;
    std::map<absl::StatusCode, OfCode> codes;
    std::map<bool, prometheus::Counter*> deadlines;  // by whether they were met
    std::map<ShedReason, prometheus::Counter*> sheds;
    std::map<CacheObserver::Source, prometheus::Counter*> cache_requests;
    std::map<CacheObserver::Outcome, prometheus::Counter*> cache_runs;
    prometheus::Gauge* limit = nullptr;
  };

  // Names come from callers: only one that a router has answered for becomes a label.
  OfPool& Find(absl::string_view pool, bool answered) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto found = pools.find(pool);
    if (found != pools.end()) return *found->second;
    const bool taken = answered && pools.size() < kMaxPools;
    std::unique_ptr<OfPool>& kept = taken ? pools[std::string(pool)] : other;
    if (kept == nullptr) {
      kept = std::make_unique<OfPool>();
      kept->label = taken ? std::string(pool) : "other";
    }
    return *kept;
  }

  // The counter of a pool that `pick` keeps in its OfPool, made with `label` where there is none.
  template <typename Pick>
  prometheus::Counter& CounterOf(absl::string_view pool, bool answered,
                                 prometheus::Family<prometheus::Counter>& family,
                                 const char* label, const char* value, Pick pick) {
    MutexLock lock(mutex);
    OfPool& of = Find(pool, answered);
    prometheus::Counter*& kept = pick(of);
    if (kept == nullptr) kept = &family.Add({{"pool", of.label}, {label, value}});
    return *kept;
  }

  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& latency;
  prometheus::Family<prometheus::Counter>& deadlines;
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
  absl::flat_hash_map<std::string, std::unique_ptr<OfPool>> pools ABSL_GUARDED_BY(mutex);
  std::unique_ptr<OfPool> other ABSL_GUARDED_BY(mutex);
};

GatewayMetrics::GatewayMetrics(prometheus::Registry& registry)
    : families_(std::make_unique<Families>(registry)) {}

GatewayMetrics::~GatewayMetrics() = default;

void GatewayMetrics::RequestAnswered(absl::string_view pool, absl::StatusCode code,
                                     absl::Duration latency) {
  Families& all = *families_;
  Families::OfCode of_code;
  {
    MutexLock lock(all.mutex);
    Families::OfPool& of_pool = all.Find(pool, code == absl::StatusCode::kOk);
    Families::OfCode& kept = of_pool.codes[code];
    if (kept.requests == nullptr) {
      const std::map<std::string, std::string> labels = {
          {"pool", of_pool.label}, {"code", std::string(StatusCodeName(code))}};
      kept = {&all.requests.Add(labels), &all.latency.Add(labels, kLatencySeconds)};
    }
    of_code = kept;
  }
  of_code.requests->Increment();
  of_code.latency->Observe(absl::ToDoubleSeconds(latency));
}

void GatewayMetrics::DeadlineEnded(absl::string_view pool, bool met) {
  families_
      ->CounterOf(pool, false, families_->deadlines, "result", met ? "met" : "missed",
                  [met](Families::OfPool& of) -> auto& { return of.deadlines[met]; })
      .Increment();
}

void GatewayMetrics::Retried(absl::string_view why) {
  families_->retries.Add({{"reason", std::string(why)}}).Increment();
}

void GatewayMetrics::CredentialsRead(absl::string_view file, const absl::Status& status) {
  const std::string name(file);
  families_->credentials.Add({{"file", name}, {"result", status.ok() ? "taken" : "refused"}})
      .Increment();
  if (status.ok()) {
    LogInfo("credentials_read").With("file", name).With("result", "taken");
  } else {
    LogError("credentials_read")
        .With("file", name)
        .With("result", "refused")
        .With("reason", status.message());
  }
}

void GatewayMetrics::Answered(absl::string_view pool, Source source) {
  families_
      ->CounterOf(pool, true, families_->cache_requests, "source", SourceName(source),
                  [source](Families::OfPool& of) -> auto& { return of.cache_requests[source]; })
      .Increment();
}

void GatewayMetrics::Ran(absl::string_view pool, Outcome outcome) {
  families_
      ->CounterOf(pool, true, families_->cache_runs, "outcome", OutcomeName(outcome),
                  [outcome](Families::OfPool& of) -> auto& { return of.cache_runs[outcome]; })
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

void GatewayMetrics::Shed(absl::string_view pool, ShedReason reason) {
  families_
      ->CounterOf(pool, false, families_->sheds, "reason", ReasonName(reason),
                  [reason](Families::OfPool& of) -> auto& { return of.sheds[reason]; })
      .Increment();
}

void GatewayMetrics::LimitChanged(absl::string_view pool, uint32_t limit) {
  MutexLock lock(families_->mutex);
  Families::OfPool& of = families_->Find(pool, true);
  if (of.limit == nullptr) of.limit = &families_->limit.Add({{"pool", of.label}});
  of.limit->Set(limit);
}

}  // namespace penstock::gateway
