#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/infer_call.h"
#include "common/random.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/batch/batch_window.h"
#include "router_service/dispatch/cpu_meter.h"
#include "router_service/dispatch/dispatch_call.h"
#include "router_service/dispatch/dispatch_plan.h"
#include "router_service/dispatch/request_trace.h"
#include "router_service/dispatch/route_observer.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/dispatch/shadow/shadow_choice.h"
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
  Tracer* tracer = nullptr;  // null: no request is traced
};

// One request from its decision to its answer: reservation, dispatch, combining, settling,
// recording. Keeps itself alive until the call is finished.
class RequestRun : public std::enable_shared_from_this<RequestRun> {
 public:
  RequestRun(const RouteRooms& rooms, std::shared_ptr<IncomingCall> call, RouteRequest request,
             uint64_t sequence, CpuMeter cpu, ServedTrace trace = {});

  // `cpu` as given to the constructor runs since the request came. `window`: where requests of the
  // pool wait for each other; null: they do not. Not kept.
  void Start(BatchWindow* window = nullptr);

 private:
  // Decided, but to be assigned together with others.
  struct Waiting {
    ScoredExperts scored;
    ExpertChoice choice;
  };

  absl::Status Decide(BatchWindow* window);
  absl::Status DecideExperts(const BudgetView& budgets, BatchWindow* window);
  // Where only time is what nobody has enough of, the pool's probe may have it that the fastest is
  // asked.
  ExpertChoice Choose(const ScoredExperts& scored, const BudgetView& budgets, absl::Time now);
  absl::StatusOr<RowChoice> ChooseForRows(const ScoredRows& scored, const BudgetView& budgets,
                                          absl::Time now);
  // The reservation, and the plan. `waited`: the shadow was tried before.
  absl::Status Commit(const ScoredExperts& scored, ExpertChoice choice, absl::Time now,
                      bool waited);
  void Resume(int32_t expert, size_t together);
  void Run(const absl::Status& decided);
  absl::Status DecideRows(const BudgetView& budgets);
  BudgetView ViewBudgets() const;
  // Those that the policy asks for may be hedged with what the budgets left when it decided.
  std::vector<AskSpec> WithHedges(std::vector<AskSpec> specs) const;
  // For the log's file.
  void NoteChoice(const ExpertChoice& choice, uint64_t view);
  // Beside the live choice.
  void TryShadow(const ExpertChoice& choice, absl::Time now);
  void OnDispatched(DispatchResult result);
  void Finish(PlanAnswer answer);

  // A copy: the call may be finished, and the pipeline gone, before a run is.
  const RouteRooms rooms_;
  const std::shared_ptr<IncomingCall> call_;
  RouteRequest request_;
  const uint64_t sequence_;
  CounterRandom random_;
  CpuMeter cpu_;
  ServedTrace trace_;
  Reservation reservation_;
  // The log keeps it.
  const std::shared_ptr<v1::Decision> kept_decision_ = std::make_shared<v1::Decision>();
  v1::Decision& decision_ = *kept_decision_;
  std::unique_ptr<const ShadowChoice> shadow_;  // null: the pool has none
  std::unique_ptr<v1::Features> features_;      // null: the log's file does not hold them
  std::unique_ptr<v1::ChoiceRecord> record_;    // null: the log has no file
  std::optional<double> quality_forgone_;  // by the choice; unset: see QualityForgone
  std::vector<RunFigures> run_figures_;    // of the decision's runs
  std::unique_ptr<Waiting> waiting_;  // null: not in a window
  std::unique_ptr<DispatchPlan> plan_;
  std::shared_ptr<DispatchCall> dispatch_;
  EnergyTally energy_;
  Amounts taken_;  // by all asks
  Amounts headroom_;  // of the budgets, when it was decided
  uint64_t hedges_refused_ = 0;
};

// Decides as a run would at this moment, and runs nothing.
v1::Decision ExplainDecision(const RouteRooms& rooms, const RouteRequest& request,
                             uint64_t sequence);

// Trailers of an answer with this status: retry-after-ms where waiting helps.
void AddRetryAfter(const absl::Status& status, Metadata& trailers);

}  // namespace penstock::router
