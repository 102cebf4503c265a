#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/batch/batch_window.h"
#include "router_service/dispatch/request_run.h"
#include "router_service/pools/pool_catalogue.h"

namespace penstock::router {

// A request's way: read and validate -> features -> quality and cost -> gate -> prices -> selection
// -> reservation -> dispatch -> combine -> settle -> record. Free of gRPC. Thread-safe.
//
// Decisions draw from (seed, sequence): requests sent one at a time with learning off get the same
// answers wherever the router runs.
class RequestPipeline final : public InferHandler {
 public:
  using MakeBatchWorker = std::function<std::unique_ptr<BatchWorker>()>;

  // All outlive the pipeline and its requests. `make_worker`: for each pool that assigns requests
  // together; null: a thread each.
  RequestPipeline(const PoolCatalogue& catalogue, RouteRooms rooms,
                  MakeBatchWorker make_worker = nullptr);
  // Requests that wait for each other are assigned first.
  ~RequestPipeline() override;

  void ModelInfer(std::shared_ptr<IncomingCall> call) override;

  // What ModelInfer would decide now, without running it: the decision has no id. The status of the
  // request's own faults; what budgets and experts forbid stands in the decision.
  absl::StatusOr<v1::Decision> Explain(const Bytes& request, absl::Time deadline,
                                       const Metadata& metadata, const Caller& caller) const;

 private:
  void Refuse(IncomingCall& call, absl::string_view pool, absl::Status status, absl::Time arrived,
              absl::Duration latency_budget, CpuMeter& cpu, ServedTrace& trace);

  const PoolCatalogue& catalogue_;
  const RouteRooms rooms_;
  // Of pools that assign together, by their record, which all snapshots of the same experts share:
  // a request waits with others that have the same choice.
  struct Window {
    std::weak_ptr<PoolRecord> record;
    std::shared_ptr<BatchWindow> window;
  };

  // Null: the pool's requests do not wait for each other.
  std::shared_ptr<BatchWindow> WindowOf(const Pool& pool);

  const MakeBatchWorker make_worker_;
  Mutex windows_mutex_;
  std::map<const PoolRecord*, Window> windows_ ABSL_GUARDED_BY(windows_mutex_);
  std::atomic<uint64_t> next_sequence_{0};
  std::atomic<uint64_t> arrived_{0};
};

}  // namespace penstock::router
