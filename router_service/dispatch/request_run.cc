#include "router_service/dispatch/request_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging/request_log.h"
#include "common/status_macros.h"
#include "google/protobuf/util/time_util.h"
#include "router_service/dispatch/attempts/run_figures.h"
#include "router_service/dispatch/batch/batch_choice.h"
#include "router_service/dispatch/choice/expected_amounts.h"
#include "router_service/dispatch/choice/exploration.h"
#include "router_service/dispatch/choice/feature_disagreement.h"
#include "router_service/dispatch/choice/quality_forgone.h"
#include "router_service/dispatch/expert_plan.h"
#include "router_service/dispatch/explain/explained_limits.h"
#include "router_service/dispatch/explain/logged_features.h"
#include "router_service/dispatch/explain/recorded_choice.h"
#include "router_service/dispatch/row_plan.h"
#include "router_service/guards/score_precision.h"

namespace penstock::router {
namespace {

void StampDecision(const RouteRooms& rooms, const RouteRequest& request, v1::Decision& decision) {
  *decision.mutable_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(request.arrived));
  decision.set_seed(rooms.seed);
  decision.set_quality_version(request.pool->rooms->versions.quality);
  decision.set_gate_version(request.pool->rooms->versions.gate);
}

// What the ledger of a shared budget says of the tenant.
void DescribeTenant(const BudgetView& budgets, v1::Decision& decision) {
  if (budgets.price_multiplier > 1) decision.set_price_multiplier(budgets.price_multiplier);
  if (std::isfinite(budgets.largest_j)) decision.set_largest_answer_j(budgets.largest_j);
}

// What became of an attempt, if it was a retry, of an ask that ended so.
void CountRetry(const AskAttempt& attempt, const absl::Status& ask, ResilienceRecord& record) {
  if (attempt.run.reason() != "retry") return;
  const RetryResult unanswered = ask.ok() ? RetryResult::kNotNeeded : RetryResult::kFailed;
  record.Retried(attempt.answered ? RetryResult::kAnswered : unanswered);
}

Amounts HeadroomIn(const BudgetView& budgets) {
  return {budgets.headroom_j, budgets.others.accelerator_seconds.headroom,
          budgets.others.dollars.headroom};
}

PlanAnswer Refused(const absl::Status& status) {
  PlanAnswer answer;
  answer.status = status;
  return answer;
}

}  // namespace

RequestRun::RequestRun(const RouteRooms& rooms, std::shared_ptr<IncomingCall> call,
                       RouteRequest request, uint64_t sequence, CpuMeter cpu, ServedTrace trace)
    : rooms_(rooms),
      call_(std::move(call)),
      request_(std::move(request)),
      sequence_(sequence),
      random_(rooms.seed, sequence),
      cpu_(cpu),
      trace_(std::move(trace)) {
  decision_.set_id(rooms.log.IdOf(sequence).ToString());
  StampDecision(rooms, request_, decision_);
}

void RequestRun::Start(BatchWindow* window) {
  const absl::Status decided = Decide(window);
  if (waiting_ == nullptr) {
    Run(decided);
    return;
  }
  cpu_.Stop();
  // Nothing of the run is touched after this: it may be resumed meanwhile.
  window->Join(request_.pool, {WorthTogether(waiting_->choice),
                               [self = shared_from_this()](int32_t expert, size_t together) {
                                 self->Resume(expert, together);
                               }});
}

void RequestRun::Resume(int32_t expert, size_t together) {
  cpu_.Start();
  const std::unique_ptr<Waiting> waited = std::move(waiting_);
  if (expert != BatchAssigner::kUnassigned) {
    AssignTogether(static_cast<size_t>(expert), together, waited->choice);
  }
  Run(Commit(waited->scored, std::move(waited->choice), rooms_.clock.Now(), true));
}

void RequestRun::Run(const absl::Status& decided) {
  if (!decided.ok()) {
    Finish(Refused(decided));
    return;
  }
  if (!request_.ask_late) request_.pool->record->lateness_probe.Asked();
  if (RetryBudget* const retries = request_.pool->record->retries.get(); retries != nullptr) {
    retries->RequestCame(rooms_.clock.Now());
  }
  cpu_.Stop();
  ExpertAsk::Context context{rooms_.clock, rooms_.timers, request_.pool->record,
                             request_.deadline, request_.forwarded};
  context.trace = TraceAttempts(trace_, request_, decision_.id());
  dispatch_ = std::make_shared<DispatchCall>(
      std::move(context),
      [self = shared_from_this()](const std::vector<AskResult>& so_far) {
        return self->WithHedges(self->plan_->Next(so_far));
      },
      [self = shared_from_this()](DispatchResult result) {
        self->OnDispatched(std::move(result));
      },
      plan_->Enough());
  call_->SetCancelHandler([weak = std::weak_ptr<DispatchCall>(dispatch_)] {
    if (auto dispatch = weak.lock()) dispatch->Cancel();
  });
  // Held here: the end of the dispatch drops the run's own hold on it.
  const std::shared_ptr<DispatchCall> dispatch = dispatch_;
  dispatch->Start(WithHedges(plan_->First()));
}

std::vector<AskSpec> RequestRun::WithHedges(std::vector<AskSpec> specs) const {
  // What was decided against the request's own limits is not worth more than it takes already.
  if (request_.pool->record->hedging == nullptr || !decision_.degraded().empty()) return specs;
  // A soft window that is spent leaves nothing, be it of requests.
  if (headroom_.energy_j <= 0) return specs;
  const double asks = static_cast<double>(specs.size());
  const Amounts& held = reservation_.held();
  const bool budgeted =
      std::isfinite(headroom_.accelerator_seconds) || std::isfinite(headroom_.dollars);
  for (AskSpec& spec : specs) {
    if (spec.reason != "chosen" && spec.reason != "escalation") continue;
    if (budgeted) {
      const Amounts again =
          ExpectedAmounts(request_, spec.expert, spec.rows, spec.work, spec.predicted_joules);
      const bool covered =
          std::all_of(kOtherResources.begin(), kOtherResources.end(), [&](Resource resource) {
            return again[resource] * asks <= headroom_[resource] - held[resource];
          });
      if (!covered) continue;
    }
    spec.hedge_joules_left = std::max(0.0, headroom_.energy_j - held.energy_j) / asks;
  }
  return specs;
}

absl::Status RequestRun::Decide(BatchWindow* window) {
  uint64_t sequence = 0;
  absl::StatusOr<Reservation> opened =
      rooms_.pacer.Open(request_.pool->name(), request_.caller.tenant, &sequence);
  if (rooms_.log.journal() != nullptr) {
    record_ = std::make_unique<v1::ChoiceRecord>();
    record_->set_request(sequence);
  }
  if (!opened.ok()) {
    DescribeRequest(request_, {}, decision_);
    return opened.status();
  }
  reservation_ = *std::move(opened);
  const BudgetView budgets = ViewBudgets();
  headroom_ = HeadroomIn(budgets);
  DescribeRequest(request_, budgets, decision_);
  DescribeTenant(budgets, decision_);
  return request_.pool->by_row() ? DecideRows(budgets) : DecideExperts(budgets, window);
}

BudgetView RequestRun::ViewBudgets() const {
  const BudgetTerms terms = reservation_.terms();
  return {terms.price_per_joule, terms.headroom_j, terms.price_multiplier,
          terms.sequence,        terms.others,     terms.largest_j};
}

void RequestRun::NoteChoice(const ExpertChoice& choice, uint64_t view) {
  if (record_ != nullptr) RecordChoice(choice, view, *record_);
}

ExpertChoice RequestRun::Choose(const ScoredExperts& scored, const BudgetView& budgets,
                                absl::Time now) {
  ExpertChoice choice = ChooseExperts(request_, scored, budgets, now);
  if (request_.ask_late || !request_.pool->record->cost.learns() || !IsInfeasible(choice.selection)) return choice;
  request_.ask_late = true;
  ExpertChoice late = ChooseExperts(request_, scored, budgets, now);
  request_.ask_late = IsOnlyLate(late) && request_.pool->record->lateness_probe.Take();
  return request_.ask_late ? late : choice;
}

absl::StatusOr<RowChoice> RequestRun::ChooseForRows(const ScoredRows& scored,
                                                    const BudgetView& budgets, absl::Time now) {
  absl::StatusOr<RowChoice> choice = ChooseRows(request_, scored, budgets, now);
  if (request_.ask_late || !request_.pool->record->cost.learns() || choice.ok()) return choice;
  request_.ask_late = true;
  absl::StatusOr<RowChoice> late = ChooseRows(request_, scored, budgets, now);
  request_.ask_late = late.ok() && request_.pool->record->lateness_probe.Take();
  return request_.ask_late ? late : choice;
}

absl::Status RequestRun::DecideExperts(const BudgetView& budgets, BatchWindow* window) {
  const absl::Time now = rooms_.clock.Now();
  PENSTOCK_ASSIGN_OR_RETURN(
      ScoredExperts scored,
      ScoreExperts(request_, random_, now, budgets.price_multiplier > 1));
  if (budgets.others.bind()) ExpectAmounts(request_, scored);
  if (PoolPlanner* const planner = request_.pool->record->planner.get(); planner != nullptr) {
    RecordForPlanning(request_, scored, *planner);
  }
  if (rooms_.log.exports_features()) {
    features_ = LoggedFeatures(*request_.pool->rooms->features, ScoredFeatures());
  }
  if (Explorer* const explorer = request_.pool->record->explorer.get(); explorer != nullptr) {
    explorer->Remember(sequence_, ScoredFeatures().view(), scored.predicted);
  }
  ExpertChoice choice = Choose(scored, budgets, now);
  NoteChoice(choice, budgets.view);
  Explore(request_, scored, rooms_.seed, sequence_, choice);
  if (request_.pool->rooms->guards.disagreement && scored.finite &&
      !choice.selection.chosen.empty() &&
      FeaturesDisagree(request_, scored, ScoredFeatures(), budgets.price_per_joule)) {
    decision_.add_guard_flags("features_disagree");
  }
  if (window != nullptr && MayWait(request_, choice, *window, now)) {
    TryShadow(choice, now);
    waiting_ = std::make_unique<Waiting>(Waiting{std::move(scored), std::move(choice)});
    return absl::OkStatus();
  }
  return Commit(scored, std::move(choice), now, false);
}

absl::Status RequestRun::Commit(const ScoredExperts& scored, ExpertChoice choice, absl::Time now,
                                bool waited) {
  const auto first_or_cheapest = [&] {
    return (choice.cascade && !choice.bypassed) ||
           (choice.selection.chosen.size() == 1 &&
            choice.selection.chosen[0].expert == choice.selection.cheapest.expert);
  };
  absl::Status status = ChoiceStatus(request_, choice);
  if (status.ok() && !first_or_cheapest() &&
      !reservation_.TryHold(ChosenAmounts(choice), ChosenLargest(request_, choice))) {
    // Another request took the headroom meanwhile.
    RefundExploration(request_, choice);
    const BudgetView left = ViewBudgets();
    headroom_ = HeadroomIn(left);
    choice = Choose(scored, left, now);
    NoteChoice(choice, left.view);
    status = ChoiceStatus(request_, choice);
    if (status.ok() && !reservation_.Hold(ChosenAmounts(choice))) status = reservation_.refusal();
  } else if (status.ok() && first_or_cheapest()) {
    if (!reservation_.Hold(ChosenAmounts(choice))) status = reservation_.refusal();
  }
  DescribeChoice(request_, choice, decision_);
  quality_forgone_ = QualityForgone(request_, choice);
  if (!status.ok()) {
    RefundExploration(request_, choice);
    return status;
  }
  // In time is nobody: the fastest runs as long as the caller waits.
  if (choice.selection.latency_s > choice.limits.time_left_s) {
    request_.deadline = request_.call_deadline;
  }
  if (choice.load != nullptr) {
    std::vector<double> other_prices;
    if (choice.amounts != nullptr) {
      for (const Amounts& amounts : *choice.amounts) {
        other_prices.push_back(choice.others.PriceOf(amounts));
      }
    }
    RecordLoad(request_, *choice.load, choice.scored(), other_prices, choice.limits);
  }
  if (!waited) TryShadow(choice, now);
  plan_ = std::make_unique<ExpertPlan>(request_, std::move(choice), reservation_, rooms_.clock,
                                       random_, record_.get());
  return absl::OkStatus();
}

void RequestRun::TryShadow(const ExpertChoice& choice, absl::Time now) {
  if (request_.pool->rooms->shadow == nullptr) return;
  shadow_ = ChooseByShadow(request_, choice, ScoredFeatures(), random_, now,
                           decision_.has_price_multiplier());
  if (shadow_ != nullptr) request_.pool->record->shadow.Decided(shadow_->compared);
}

absl::Status RequestRun::DecideRows(const BudgetView& budgets) {
  const absl::Time now = rooms_.clock.Now();
  PENSTOCK_ASSIGN_OR_RETURN(const ScoredRows scored, ScoreRows(request_, random_, now));
  absl::StatusOr<RowChoice> choice = ChooseForRows(scored, budgets, now);
  const bool others = budgets.others.bind();
  if (choice.ok() && !reservation_.TryHold(RowAmounts(request_, *choice, others))) {
    choice = ChooseForRows(scored, ViewBudgets(), now);
    if (choice.ok() && !reservation_.Hold(RowAmounts(request_, *choice, others))) {
      return reservation_.refusal();
    }
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
    taken_ += TakenAmounts(request_, result.asks[i]);
    hedges_refused_ += result.asks[i].hedge_refused;
    for (AskAttempt& attempt : result.asks[i].attempts) {
      CountRetry(attempt, result.asks[i].status, request_.pool->record->resilience);
      run_figures_.push_back(FiguresOf(attempt));
      v1::Run* run = decision_.add_runs();
      *run = std::move(attempt.run);
      if (attempt.answered) answered[i] = run;
    }
  }
  PlanAnswer answer =
      absl::IsCancelled(result.end) ? Refused(result.end) : plan_->Answer(result);
  for (const auto& [ask, confidence] : answer.confidences) {
    if (answered[ask] != nullptr) answered[ask]->set_confidence(confidence);
  }
  for (const AnswerParts& told : answer.parts) {
    for (size_t i = 0; i < result.asks.size(); ++i) {
      if (result.asks[i].expert != told.expert || answered[i] == nullptr) continue;
      for (const auto& [objective, part] : told.parts) {
        (*answered[i]->mutable_contributions())[objective] = part;
      }
    }
  }
  // Who reports on the answer means the expert that gave it.
  if (answer.taken_opinion && answered[*answer.taken_opinion] != nullptr) {
    answered[*answer.taken_opinion]->set_reason("escalation");
  }
  if (answer.taken_alone) {
    for (size_t i = 0; i < answered.size(); ++i) {
      if (answered[i] != nullptr) answered[i]->set_weight(i == *answer.taken_alone ? 1 : 0);
    }
  }
  taken_.energy_j = energy_.joules();
  reservation_.Settle(taken_);
  for (const Resource resource : kOtherResources) {
    if (decision_.prices().count(std::string(UnitName(resource))) == 0) continue;
    (*decision_.mutable_amounts())[std::string(UnitName(resource))] = taken_[resource];
  }
  Finish(std::move(answer));
}

void RequestRun::Finish(PlanAnswer answer) {
  const absl::Time now = rooms_.clock.Now();
  const absl::Duration latency = now - request_.arrived;
  decision_.set_latency_ms(absl::ToDoubleMilliseconds(latency));
  decision_.set_energy_j(energy_.joules());
  decision_.set_energy_method(std::string(EnergyMethodName(energy_.method())));
  if (decision_.degraded().empty()) decision_.set_degraded(answer.degraded);
  // What was given up is said before what may not be kept.
  if (decision_.degraded().empty() && reservation_.unsure()) decision_.set_degraded("store_down");

  InferReply reply;
  reply.status = std::move(answer.status);
  decision_.set_status(absl::StatusCodeToString(reply.status.code()));
  if (reply.status.ok()) {
    const std::string& version = request_.pool->answer_version;
    if (!version.empty()) reply.trailers.emplace_back(kAnswerVersionMetadata, version);
    std::vector<OutParameter> parameters;
    if (request_.parameters.explain && !request_.caller.rights.admin) {
      v1::Decision coarse = decision_;
      CoarsenScores(coarse);
      parameters = AnswerParameters(coarse, answer.answerers, true);
    } else {
      parameters = AnswerParameters(decision_, answer.answerers, request_.parameters.explain);
    }
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
  if (request_.ask_late) {
    const bool in_time = absl::ToDoubleSeconds(latency) <= request_.latency_budget_s;
    request_.pool->record->lateness_probe.Ended(ok && in_time);
  }
  request_.pool->record->statistics.Ended(ok, static_cast<uint64_t>(request_.rows), latency,
                                          energy_.joules(), now);
  if (shadow_ != nullptr) DescribeShadow(request_, *shadow_, decision_);
  const SharedDecision decision = kept_decision_;
  rooms_.log.Append(decision, std::move(features_), std::move(record_));
  RouteEvent event;
  event.pool = decision->pool();
  event.code = reply.status.code();
  event.latency = latency;
  event.refusal = RefusalOf(reply.status);
  event.latency_budget = request_.latency_asked;
  event.runs = run_figures_;
  event.quality_forgone = quality_forgone_;
  dispatch_ = nullptr;
  const absl::string_view request_id =
      call_->caller().trusted ? FindMetadata(request_.forwarded, kRequestIdMetadata) : "";
  LogRequest({"router", request_id, event.pool, request_.caller.tenant, reply.status, latency});
  call_->Finish(std::move(reply));
  // What no answer waits for: prices, and counts.
  if (plan_ != nullptr) plan_->RecordDecision(reservation_);
  cpu_.Stop();
  event.cpu = cpu_.total();
  event.decision = decision.get();
  event.taken = taken_;
  event.hedges_refused = hedges_refused_;
  rooms_.observer.RequestFinished(event);
  EndRequestTrace(trace_, request_, *decision, event.code, now);
}

v1::Decision ExplainDecision(const RouteRooms& rooms, const RouteRequest& request,
                             uint64_t sequence) {
  v1::Decision decision;
  StampDecision(rooms, request, decision);
  const absl::Time now = rooms.clock.Now();
  CounterRandom random(rooms.seed, sequence);
  const BudgetPacer::Quote quote =
      rooms.pacer.Peek(request.pool->name(), request.caller.tenant);
  const BudgetView budgets{quote.price_per_joule, quote.headroom_j, quote.price_multiplier,
                           0,                     quote.others,     quote.largest_j};
  DescribeRequest(request, budgets, decision);
  DescribeTenant(budgets, decision);
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
    auto scored = ScoreExperts(request, random, now, quote.price_multiplier > 1);
    if (status.ok()) status = scored.status();
    if (scored.ok()) {
      if (budgets.others.bind()) ExpectAmounts(request, *scored);
      const ExpertChoice choice = ChooseExperts(request, *scored, budgets, now);
      if (status.ok()) {
        status = ChoiceStatus(request, choice);
      }
      DescribeChoice(request, choice, decision);
      DescribeCounterfactuals(request, choice, decision);
      if (const auto shadow = ChooseByShadow(request, choice, ScoredFeatures(), random, now,
                                             quote.price_multiplier > 1)) {
        DescribeShadow(request, *shadow, decision);
      }
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
