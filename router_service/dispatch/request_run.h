#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/infer_call.h"
#include "common/random.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/cpu_meter.h"
#include "router_service/dispatch/dispatch_call.h"
#include "router_service/dispatch/dispatch_plan.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/recording/decision_log.h"

namespace penstock::router {

// What all requests share. Outlives them.
struct RouteRooms {
  const Clock& clock;
  Timers& timers;
  BudgetPacer& pacer;
  DecisionLog& log;
  RouteObserver& observer;
  uint64_t seed = 0;
};

// One request from its decision to its answer: reservation, dispatch, combining, settling, recording.
// Keeps itself alive until the call is finished.
class RequestRun : public std::enable_shared_from_this<RequestRun> {
 public:
  RequestRun(const RouteRooms& rooms, std::shared_ptr<IncomingCall> call, RouteRequest request,
             uint64_t sequence, CpuMeter cpu);

  // `cpu` as given to the constructor runs since the request came.
  void Start();

 private:
  absl::Status Decide();
  absl::Status DecideExperts(const BudgetView& budgets);
  absl::Status DecideRows(const BudgetView& budgets);
  void OnDispatched(DispatchResult result);
  void Finish(PlanAnswer answer);

  // A copy: the call may be finished, and the pipeline gone, before a run is.
  const RouteRooms rooms_;
  const std::shared_ptr<IncomingCall> call_;
  RouteRequest request_;
  CounterRandom random_;
  CpuMeter cpu_;
  Reservation reservation_;
  // The log keeps it.
  const std::shared_ptr<v1::Decision> kept_decision_ = std::make_shared<v1::Decision>();
  v1::Decision& decision_ = *kept_decision_;
  std::unique_ptr<DispatchPlan> plan_;
  std::shared_ptr<DispatchCall> dispatch_;
  EnergyTally energy_;
  double accelerator_seconds_ = 0;
};

// Decides as a run would at this moment, and runs nothing.
v1::Decision ExplainDecision(const RouteRooms& rooms, const RouteRequest& request,
                             uint64_t sequence);

// Trailers of an answer with this status: retry-after-ms where waiting helps.
void AddRetryAfter(const absl::Status& status, Metadata& trailers);

}  // namespace penstock::router
