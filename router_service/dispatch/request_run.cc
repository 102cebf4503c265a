#include "router_service/dispatch/request_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/time_util.h"
#include "router_service/dispatch/expert_plan.h"
#include "router_service/dispatch/row_plan.h"

namespace penstock::router {
namespace {

void StampDecision(const RouteRooms& rooms, const RouteRequest& request, v1::Decision& decision) {
  *decision.mutable_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(request.arrived));
  decision.set_seed(rooms.seed);
}

void DescribeMultiplier(double multiplier, v1::Decision& decision) {
  if (multiplier > 1) decision.set_price_multiplier(multiplier);
}

PlanAnswer Refused(const absl::Status& status) {
  PlanAnswer answer;
  answer.status = status;
  return answer;
}

}  // namespace

RequestRun::RequestRun(const RouteRooms& rooms, std::shared_ptr<IncomingCall> call,
                       RouteRequest request, uint64_t sequence, CpuMeter cpu)
    : rooms_(rooms),
      call_(std::move(call)),
      request_(std::move(request)),
      random_(rooms.seed, sequence),
      cpu_(cpu) {
  decision_.set_id(rooms.log.IdOf(sequence).ToString());
  StampDecision(rooms, request_, decision_);
}

void RequestRun::Start() {
  const absl::Status decided = Decide();
  if (!decided.ok()) {
    Finish(Refused(decided));
    return;
  }
  cpu_.Stop();
  ExpertAsk::Context context{rooms_.clock, rooms_.timers, request_.pool->record,
                             request_.deadline, request_.forwarded};
  dispatch_ = std::make_shared<DispatchCall>(
      std::move(context),
      [self = shared_from_this()](const std::vector<AskResult>& so_far) {
        return self->plan_->Next(so_far);
      },
      [self = shared_from_this()](DispatchResult result) {
        self->OnDispatched(std::move(result));
      });
  call_->SetCancelHandler([weak = std::weak_ptr<DispatchCall>(dispatch_)] {
    if (auto dispatch = weak.lock()) dispatch->Cancel();
  });
  // Held here: the end of the dispatch drops the run's own hold on it.
  const std::shared_ptr<DispatchCall> dispatch = dispatch_;
  dispatch->Start(plan_->First());
}

absl::Status RequestRun::Decide() {
  absl::StatusOr<Reservation> opened =
      rooms_.pacer.Open(request_.pool->name(), request_.caller.tenant);
  if (!opened.ok()) {
    DescribeRequest(request_, 0, decision_);
    return opened.status();
  }
  reservation_ = *std::move(opened);
  const BudgetView budgets{reservation_.price_per_joule(), reservation_.headroom_j()};
  DescribeRequest(request_, budgets.price_per_joule, decision_);
  DescribeMultiplier(reservation_.price_multiplier(), decision_);
  return request_.pool->by_row() ? DecideRows(budgets) : DecideExperts(budgets);
}

absl::Status RequestRun::DecideExperts(const BudgetView& budgets) {
  const absl::Time now = rooms_.clock.Now();
  PENSTOCK_ASSIGN_OR_RETURN(
      const ScoredExperts scored,
      ScoreExperts(request_, random_, now, reservation_.price_multiplier() > 1));
  ExpertChoice choice = ChooseExperts(request_, scored, budgets, now);
  const auto first_or_cheapest = [&] {
    return choice.cascade || (choice.selection.chosen.size() == 1 &&
                              choice.selection.chosen[0].expert == choice.selection.cheapest.expert);
  };
  absl::Status status = SelectionStatus(choice.selection, choice.limits, request_.pool->expert_names);
  if (status.ok() && !first_or_cheapest() && !reservation_.TryHold(choice.selection.energy_j)) {
    // Another request took the headroom meanwhile.
    choice = ChooseExperts(request_, scored,
                           {reservation_.price_per_joule(), reservation_.headroom_j()}, now);
    status = SelectionStatus(choice.selection, choice.limits, request_.pool->expert_names);
    if (status.ok()) reservation_.Hold(choice.selection.energy_j);
  } else if (status.ok() && first_or_cheapest()) {
    reservation_.Hold(choice.selection.energy_j);
  }
  DescribeChoice(request_, choice, decision_);
  PENSTOCK_RETURN_IF_ERROR(status);
  // In time is nobody: the fastest runs as long as the caller waits.
  if (choice.selection.latency_s > choice.limits.time_left_s) {
    request_.deadline = request_.call_deadline;
  }
  plan_ = std::make_unique<ExpertPlan>(request_, std::move(choice), reservation_, rooms_.clock,
                                       random_);
  return absl::OkStatus();
}

absl::Status RequestRun::DecideRows(const BudgetView& budgets) {
  const absl::Time now = rooms_.clock.Now();
  PENSTOCK_ASSIGN_OR_RETURN(const ScoredRows scored, ScoreRows(request_, random_, now));
  absl::StatusOr<RowChoice> choice = ChooseRows(request_, scored, budgets, now);
  if (choice.ok() && !reservation_.TryHold(choice->energy_j)) {
    choice = ChooseRows(request_, scored,
                        {reservation_.price_per_joule(), reservation_.headroom_j()}, now);
    if (choice.ok()) reservation_.Hold(choice->energy_j);
  }
  DescribeRows(request_, scored, choice.ok() ? &*choice : nullptr, decision_);
  PENSTOCK_RETURN_IF_ERROR(choice.status());
  if (choice->degraded == "deadline") request_.deadline = request_.call_deadline;
  PENSTOCK_ASSIGN_OR_RETURN(plan_, RowPlan::Create(request_, *std::move(choice), random_));
  return absl::OkStatus();
}

void RequestRun::OnDispatched(DispatchResult result) {
  cpu_.Start();
  std::vector<v1::Run*> answered(result.asks.size(), nullptr);
  for (size_t i = 0; i < result.asks.size(); ++i) {
    energy_.Add(result.asks[i].energy);
    for (AskAttempt& attempt : result.asks[i].attempts) {
      v1::Run* run = decision_.add_runs();
      *run = std::move(attempt.run);
      if (attempt.answered) answered[i] = run;
      if (attempt.report.compute) {
        accelerator_seconds_ += absl::ToDoubleSeconds(*attempt.report.compute);
      }
    }
  }
  PlanAnswer answer =
      absl::IsCancelled(result.end) ? Refused(result.end) : plan_->Answer(result);
  for (const auto& [ask, confidence] : answer.confidences) {
    if (answered[ask] != nullptr) answered[ask]->set_confidence(confidence);
  }
  reservation_.Settle({energy_.joules(), accelerator_seconds_, 0});
  Finish(std::move(answer));
}

void RequestRun::Finish(PlanAnswer answer) {
  const absl::Time now = rooms_.clock.Now();
  const absl::Duration latency = now - request_.arrived;
  decision_.set_latency_ms(absl::ToDoubleMilliseconds(latency));
  decision_.set_energy_j(energy_.joules());
  decision_.set_energy_method(std::string(EnergyMethodName(energy_.method())));
  if (decision_.degraded().empty()) decision_.set_degraded(answer.degraded);

  InferReply reply;
  reply.status = std::move(answer.status);
  decision_.set_status(absl::StatusCodeToString(reply.status.code()));
  if (reply.status.ok()) {
    std::vector<OutParameter> parameters =
        AnswerParameters(decision_, answer.answerers, request_.parameters.explain);
    if (!answer.pass.empty()) {
      auto body = PassAnswer(request_, answer.pass, parameters);
      reply.status = body.status();
      if (body.ok()) reply.body = *std::move(body);
    } else {
      reply.body = MakeAnswer(request_, std::move(answer.outputs), std::move(parameters));
    }
  } else {
    decision_.set_reason(std::string(reply.status.message()));
    const absl::string_view retry_after = FindMetadata(answer.trailers, kRetryAfterMetadata);
    if (!retry_after.empty() && absl::IsResourceExhausted(reply.status)) {
      reply.trailers.emplace_back(kRetryAfterMetadata, std::string(retry_after));
    }
    AddRetryAfter(reply.status, reply.trailers);
  }
  const bool ok = reply.status.ok();
  request_.pool->record->statistics.Ended(ok, static_cast<uint64_t>(request_.rows), latency,
                                          energy_.joules(), now);
  const SharedDecision decision = kept_decision_;
  rooms_.log.Append(decision);
  RouteEvent event;
  event.pool = decision->pool();
  event.code = reply.status.code();
  event.latency = latency;
  dispatch_ = nullptr;
  call_->Finish(std::move(reply));
  // What no answer waits for: prices, and counts.
  if (plan_ != nullptr) plan_->RecordDecision(reservation_);
  cpu_.Stop();
  event.cpu = cpu_.total();
  event.decision = decision.get();
  rooms_.observer.RequestFinished(event);
}

v1::Decision ExplainDecision(const RouteRooms& rooms, const RouteRequest& request,
                             uint64_t sequence) {
  v1::Decision decision;
  StampDecision(rooms, request, decision);
  const absl::Time now = rooms.clock.Now();
  CounterRandom random(rooms.seed, sequence);
  const BudgetPacer::Quote quote =
      rooms.pacer.Peek(request.pool->name(), request.caller.tenant);
  const BudgetView budgets{quote.price_per_joule, quote.headroom_j};
  DescribeRequest(request, budgets.price_per_joule, decision);
  DescribeMultiplier(quote.price_multiplier, decision);
  absl::Status status = quote.status;
  const auto add_run = [&](size_t expert, double weight) {
    v1::Run& run = *decision.add_runs();
    run.set_expert(request.pool->expert_names[expert]);
    run.set_weight(weight);
    run.set_reason("chosen");
  };
  if (request.pool->by_row()) {
    const auto scored = ScoreRows(request, random, now);
    if (status.ok()) status = scored.status();
    if (scored.ok()) {
      const auto choice = ChooseRows(request, *scored, budgets, now);
      if (status.ok()) status = choice.status();
      DescribeRows(request, *scored, choice.ok() ? &*choice : nullptr, decision);
      if (choice.ok()) {
        for (const RowGroup& group : choice->groups) {
          double weight = 0;
          for (const float of_row : group.weights) weight += of_row;
          add_run(group.expert, weight / static_cast<double>(request.rows));
        }
      }
    }
  } else {
    const auto scored = ScoreExperts(request, random, now, quote.price_multiplier > 1);
    if (status.ok()) status = scored.status();
    if (scored.ok()) {
      const ExpertChoice choice = ChooseExperts(request, *scored, budgets, now);
      if (status.ok()) {
        status = SelectionStatus(choice.selection, choice.limits, request.pool->expert_names);
      }
      DescribeChoice(request, choice, decision);
      for (const SelectedExpert& chosen : choice.selection.chosen) {
        add_run(chosen.expert, chosen.weight);
      }
    }
  }
  decision.set_status(absl::StatusCodeToString(status.code()));
  if (!status.ok()) decision.set_reason(std::string(status.message()));
  return decision;
}

void AddRetryAfter(const absl::Status& status, Metadata& trailers) {
  if (const auto retry_after = RetryAfter(status)) {
    const int64_t ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(*retry_after));
    trailers.emplace_back(kRetryAfterMetadata, absl::StrCat(ms));
  }
}

}  // namespace penstock::router
