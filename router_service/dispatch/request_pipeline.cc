#include "router_service/dispatch/request_pipeline.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/logging/request_log.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

constexpr uint32_t kDefaultMaxInFlight = 1024;
// Where nothing was answered yet, and at least: a caller that comes back sooner finds the same queue.
constexpr absl::Duration kShortestRetry = absl::Milliseconds(10);

}  // namespace

RequestPipeline::RequestPipeline(const PoolCatalogue& catalogue, RouteRooms rooms,
                                 MakeBatchWorker make_worker)
    : catalogue_(catalogue), rooms_(rooms), make_worker_(std::move(make_worker)) {}

RequestPipeline::~RequestPipeline() {
  std::map<const PoolRecord*, Window> windows;
  {
    MutexLock lock(windows_mutex_);
    windows.swap(windows_);
  }
  for (const auto& [record, each] : windows) each.window->Stop();
}

std::shared_ptr<BatchWindow> RequestPipeline::WindowOf(const Pool& pool) {
  if (!pool.config.selection().has_batch_assignment()) return nullptr;
  // Windows of pools that are gone end outside the lock.
  std::vector<std::shared_ptr<BatchWindow>> gone;
  MutexLock lock(windows_mutex_);
  Window& known = windows_[pool.record.get()];
  if (!known.record.expired()) return known.window;
  if (known.window != nullptr) gone.push_back(std::move(known.window));
  known.record = pool.record;
  known.window = std::make_shared<BatchWindow>(
      pool.config.selection().batch_assignment(), rooms_.clock, rooms_.timers,
      make_worker_ ? make_worker_() : std::make_unique<ThreadBatchWorker>());
  for (auto it = windows_.begin(); it != windows_.end();) {
    if (!it->second.record.expired()) {
      ++it;
      continue;
    }
    gone.push_back(std::move(it->second.window));
    it = windows_.erase(it);
  }
  return windows_[pool.record.get()].window;
}

void RequestPipeline::ModelInfer(std::shared_ptr<IncomingCall> call) {
  CpuMeter cpu(arrived_.fetch_add(1, std::memory_order_relaxed));
  cpu.Start();
  const absl::Time now = rooms_.clock.Now();
  ServedTrace trace(rooms_.tracer, *call, now);
  absl::StatusOr<RouteRequest> request = ReadRouteRequest(
      catalogue_, call->request(), call->deadline(), call->metadata(), call->caller(), now);
  if (!request.ok()) {
    // Only names of ours become labels.
    const auto name = ScanModelName(call->request());
    const bool known = name.ok() && catalogue_.Find(*name) != nullptr;
    // Of what had no time left more is not known.
    const bool late = RefusalOf(request.status()) == Refusal::kDeadline;
    Refuse(*call, known ? *name : "", request.status(), now,
           late ? absl::ZeroDuration() : absl::InfiniteDuration(), cpu, trace);
    return;
  }
  const Pool& pool = *request->pool;
  const uint32_t limit =
      pool.config.has_max_in_flight() ? pool.config.max_in_flight() : kDefaultMaxInFlight;
  PoolStatistics& statistics = pool.record->statistics;
  if (!statistics.Begin(limit)) {
    const absl::Duration retry_after =
        std::max(kShortestRetry, statistics.latencies().Quantile(0.5));
    Refuse(*call, pool.name(),
           Because(Refusal::kMaxInFlight,
                   ExhaustedError(
                       absl::StrCat("pool ", pool.name(), ": ", limit, " requests are running"),
                       retry_after)),
           now, request->latency_asked, cpu, trace);
    return;
  }
  trace.Propagate(request->forwarded);
  const std::shared_ptr<BatchWindow> window = WindowOf(pool);
  const uint64_t sequence = next_sequence_.fetch_add(1, std::memory_order_relaxed);
  auto run = std::make_shared<RequestRun>(rooms_, std::move(call), *std::move(request), sequence,
                                          cpu, std::move(trace));
  run->Start(window.get());
}

void RequestPipeline::Refuse(IncomingCall& call, absl::string_view pool, absl::Status status,
                             absl::Time arrived, absl::Duration latency_budget, CpuMeter& cpu,
                             ServedTrace& trace) {
  RouteEvent event;
  event.pool = pool;
  event.code = status.code();
  event.latency = rooms_.clock.Now() - arrived;
  event.refusal = RefusalOf(status);
  event.latency_budget = latency_budget;
  cpu.Stop();
  event.cpu = cpu.total();
  rooms_.observer.RequestFinished(event);
  InferReply reply;
  AddRetryAfter(status, reply.trailers);
  reply.status = std::move(status);
  const absl::string_view request_id =
      call.caller().trusted ? FindMetadata(call.metadata(), kRequestIdMetadata) : "";
  LogRequest({"router", request_id, pool, IdentifyCaller(call.metadata(), call.caller()).tenant,
              reply.status, event.latency});
  call.Finish(std::move(reply));
  trace.span().Set(kSpanPool, pool);
  trace.End(event.code, arrived + event.latency);
}

absl::StatusOr<v1::Decision> RequestPipeline::Explain(const Bytes& request, absl::Time deadline,
                                                      const Metadata& metadata,
                                                      const Caller& caller) const {
  absl::StatusOr<RouteRequest> read =
      ReadRouteRequest(catalogue_, request, deadline, metadata, caller, rooms_.clock.Now());
  if (!read.ok()) return read.status();
  return ExplainDecision(rooms_, *read, next_sequence_.load(std::memory_order_relaxed));
}

}  // namespace penstock::router
