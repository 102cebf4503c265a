#include "router_service/dispatch/expert_plan.h"

#include <algorithm>
#include <utility>

#include "router_service/dispatch/priced_options.h"
#include "router_service/quality/answer_confidence.h"

namespace penstock::router {
namespace {

// Whether somebody else may do better than the expert that said this.
bool MayAskAnother(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:  // the request is wrong, whoever reads it
    case absl::StatusCode::kDeadlineExceeded:
      return false;
    default:
      return true;
  }
}

std::string OutputForConfidence(const Pool& pool) {
  if (pool.rooms->cascade == nullptr) return pool.config.combined_output();
  if (!pool.config.combined_output().empty()) return pool.config.combined_output();
  for (const PoolContract::Tensor& output : pool.rooms->contract.outputs) {
    if (output.datatype == "FP32") return output.name;
  }
  return "";
}

}  // namespace

ExpertPlan::ExpertPlan(const RouteRequest& request, ExpertChoice choice, Reservation& reservation,
                       const Clock& clock, CounterRandom random)
    : request_(request),
      choice_(std::move(choice)),
      reservation_(reservation),
      clock_(clock),
      random_(random) {
  if (choice_.cascade || choice_.selection.chosen.size() > 1) {
    combined_output_ = OutputForConfidence(*request.pool);
  }
}

bool ExpertPlan::Asked(size_t expert) const {
  return std::find(asked_.begin(), asked_.end(), expert) != asked_.end();
}

AskSpec ExpertPlan::Spec(size_t expert, double weight, absl::string_view reason,
                         double predicted_j) {
  const PoolExpert& item = request_.pool->experts[expert];
  AskSpec spec;
  spec.expert = expert;
  spec.expert_name = item.name;
  spec.reason = std::string(reason);
  spec.weight = weight;
  spec.request = ExpertRequest(request_, item, combined_output_);
  spec.rows = static_cast<uint64_t>(request_.rows);
  spec.work = choice_.work[expert];
  spec.application_class = request_.application_class;
  spec.predicted_joules = predicted_j;
  spec.replicas = item.replicas;
  spec.seed = random_.Bits();
  spec.check = [this](const Bytes& body) {
    return CheckAnswer(request_, request_.rows, combined_output_, body);
  };
  asked_.push_back(expert);
  return spec;
}

std::vector<AskSpec> ExpertPlan::First() {
  std::vector<AskSpec> specs;
  for (const SelectedExpert& chosen : choice_.selection.chosen) {
    specs.push_back(Spec(chosen.expert, chosen.weight, "chosen",
                         choice_.candidates->energy_j()[chosen.expert]));
  }
  // What the cap leaves is for second attempts, in equal parts: they may run at once.
  const double left = std::max(0.0, request_.energy_cap_j - choice_.selection.energy_j);
  for (AskSpec& spec : specs) spec.retry_joules_left = left / static_cast<double>(specs.size());
  return specs;
}

double ExpertPlan::JoulesLeft(const std::vector<AskResult>& so_far) const {
  double spent = 0;
  for (const AskResult& ask : so_far) {
    spent += choice_.candidates->energy_j()[ask.expert] * static_cast<double>(ask.attempts.size());
  }
  return std::max(0.0, request_.energy_cap_j - spent);
}

std::vector<AskSpec> ExpertPlan::Next(const std::vector<AskResult>& so_far) {
  if (choice_.cascade && !asked_another_) {
    if (so_far.back().status.ok()) {
      standing_ = so_far.size() - 1;
      return Escalate(so_far);
    }
    if (standing_) return {};  // the answer that stands is better than none
  }
  return AskAnother(so_far);
}

EscalationOption ExpertPlan::Option(size_t expert, double p_right, absl::Time now) const {
  const PoolExpert& item = request_.pool->experts[expert];
  const CostEstimate estimate = request_.pool->record->cost.Estimate(
      expert, request_.application_class, static_cast<uint64_t>(request_.rows),
      LeastLoad(item, now), choice_.work[expert]);
  EscalationOption option;
  option.expert = expert;
  option.p_right = p_right;
  option.energy_j = estimate.energy_j;
  option.latency_s = estimate.latency_s;
  option.admissible =
      choice_.excluded[expert] == Exclusion::kNone && !Asked(expert) && item.healthy();
  return option;
}

std::vector<AskSpec> ExpertPlan::Escalate(const std::vector<AskResult>& so_far) {
  const AskResult& last = so_far.back();
  const CascadeQuality& cascade = *request_.pool->rooms->cascade;
  Question question;
  question.sunk_j = escalations_ == 0 ? last.energy.joules() : 0;
  question.options = {{0, 0}};
  question.follow_up = escalations_ > 0;
  const size_t max_escalations = request_.pool->config.cascade().has_max_escalations()
                                     ? request_.pool->config.cascade().max_escalations()
                                     : 1;
  const auto outputs = DecodeAnswer(last.body);
  const int index = outputs.ok() ? CombinedOutput(*outputs, combined_output_) : -1;
  std::vector<float> quality(choice_.excluded.size());
  bool sure = false;
  if (index >= 0 && cascade.CanStand(last.expert)) {
    const auto confidences = ReadConfidences((*outputs)[static_cast<size_t>(index)]);
    if (confidences.ok()) {
      cascade.Predict(last.expert, *confidences, absl::MakeSpan(quality));
      confidences_.emplace_back(so_far.size() - 1, quality[last.expert]);
      sure = true;
    }
  }
  const std::optional<CascadeStages>& stages = cascade.stages();
  // An answer that says nothing of itself keeps no stated risk.
  const bool stands = stages ? stages->After(last.expert).empty() ||
                                   (sure && stages->MayStand(last.expert, quality))
                             : !sure;
  if (stands || escalations_ >= max_escalations) {
    // A question is asked once per request, even where none arises; a later one only where it does.
    if (escalations_ == 0) questions_.push_back(std::move(question));
    return {};
  }

  const absl::Time now = clock_.Now();
  EscalationLimits limits;
  limits.value = choice_.limits.value;
  limits.price_per_joule = reservation_.price_per_joule();
  limits.time_left_s = request_.TimeLeft(now);
  limits.request_joules_left = JoulesLeft(so_far);
  limits.headroom_j = reservation_.headroom_j();
  limits.escalations_done = escalations_;
  limits.max_escalations = max_escalations;
  std::vector<EscalationOption> options;
  Escalation escalation;
  if (stages) {
    for (const size_t i : stages->After(last.expert)) {
      options.push_back(Option(i, quality[i], now));
    }
    escalation = DecideStage(options, limits);
    // No price would have kept the answer: its joules are no matter of choice.
    if (escalation.option) {
      question.options = {{0, options[*escalation.option].energy_j}};
    } else if (!options.back().admissible) {
      degraded_ = "expert_failed";
    }
  } else {
    question.options = {{limits.value * quality[last.expert], 0}};
    for (size_t i = 0; i < choice_.excluded.size(); ++i) {
      const EscalationOption option = Option(i, quality[i], now);
      // What time and the request's own cap forbid is no question of price.
      if (option.admissible && option.latency_s <= limits.time_left_s &&
          option.energy_j <= limits.request_joules_left) {
        question.options.push_back({limits.value * option.p_right, option.energy_j});
      }
      options.push_back(option);
    }
    escalation = DecideEscalation(quality[last.expert], options, limits);
  }
  questions_.push_back(std::move(question));
  if (escalation.stopped_by_budget) degraded_ = "budget";
  if (escalation.stopped_by_deadline) degraded_ = "deadline";
  if (!escalation.option) return {};
  const EscalationOption& taken = options[*escalation.option];
  if (!reservation_.TryHold(taken.energy_j)) {
    degraded_ = "budget";
    return {};
  }
  ++escalations_;
  std::vector<AskSpec> specs;
  specs.push_back(Spec(taken.expert, 1, "escalation", taken.energy_j));
  specs.back().retry_joules_left = std::max(0.0, limits.request_joules_left - taken.energy_j);
  return specs;
}

std::vector<AskSpec> ExpertPlan::AskAnother(const std::vector<AskResult>& so_far) {
  if (asked_another_ || !request_.forced.empty()) return {};
  for (const AskResult& ask : so_far) {
    if (ask.status.ok() || !MayAskAnother(ask.status)) return {};
  }
  asked_another_ = true;
  const absl::Time now = clock_.Now();
  const double time_left = request_.TimeLeft(now);
  const double joules_left = JoulesLeft(so_far);
  std::optional<size_t> best;
  double best_worth = 0;
  double best_joules = 0;
  for (size_t i = 0; i < choice_.excluded.size(); ++i) {
    const SelectionCandidate candidate = (*choice_.candidates)[i];
    const PoolExpert& expert = request_.pool->experts[i];
    if (choice_.excluded[i] != Exclusion::kNone || Asked(i) || !expert.healthy()) continue;
    if (candidate.quality < request_.min_quality) continue;
    const CostEstimate estimate = request_.pool->record->cost.Estimate(
        i, request_.application_class, static_cast<uint64_t>(request_.rows),
        LeastLoad(expert, now), choice_.work[i]);
    if (estimate.latency_s > time_left || estimate.energy_j > joules_left) continue;
    const double worth = choice_.limits.value * candidate.score -
                         choice_.limits.price_per_joule * estimate.energy_j;
    if (best && worth <= best_worth) continue;
    best = i;
    best_worth = worth;
    best_joules = estimate.energy_j;
  }
  if (!best || !reservation_.TryHold(best_joules)) return {};
  std::vector<AskSpec> specs;
  specs.push_back(Spec(*best, 1, "retry", best_joules));
  specs.back().retry_joules_left = std::max(0.0, joules_left - best_joules);
  return specs;
}

PlanAnswer ExpertPlan::Answer(DispatchResult& result) {
  PlanAnswer answer;
  if (result.asks.empty()) {
    answer.status = result.end;
    return answer;
  }
  const bool any = std::any_of(result.asks.begin(), result.asks.end(),
                               [](const AskResult& ask) { return ask.status.ok(); });
  if (!any) {
    const AskResult& first = result.asks.front();
    answer.status = CallerStatus(first.expert_name, first.status);
    if (!result.end.ok()) answer.status = result.end;
    answer.trailers = std::move(result.asks.front().trailers);
    return answer;
  }
  if (standing_) {
    // A later stage that came to nothing leaves the answer that stands.
    AskResult& stands = result.asks[*standing_];
    answer.answerers = {{stands.expert_name, 1}};
    answer.pass = std::move(stands.body);
    answer.degraded = degraded_;
    if (*standing_ + 1 < result.asks.size()) {
      answer.degraded = result.end.ok() ? "expert_failed" : "deadline";
    }
  } else {
    answer = Combined(result.asks);
    const bool all = std::all_of(result.asks.begin(), result.asks.end(),
                                 [](const AskResult& ask) { return ask.status.ok(); });
    if (!all) answer.degraded = result.end.ok() ? "expert_failed" : "deadline";
  }
  answer.confidences = confidences_;
  return answer;
}

PlanAnswer ExpertPlan::Combined(std::vector<AskResult>& asks) {
  PlanAnswer answer;
  std::vector<AskResult*> answered;
  double sum = 0;
  for (AskResult& ask : asks) {
    if (!ask.status.ok()) continue;
    answered.push_back(&ask);
    sum += ask.weight;
  }
  for (const AskResult* ask : answered) {
    const double weight =
        sum > 0 ? ask->weight / sum : 1 / static_cast<double>(answered.size());
    answer.answerers.push_back({ask->expert_name, weight});
  }
  if (answered.size() == 1) {
    answer.pass = std::move(answered[0]->body);
    return answer;
  }
  std::vector<std::vector<Tensor>> outputs(answered.size());
  std::vector<ExpertAnswer> answers;
  for (size_t i = 0; i < answered.size(); ++i) {
    auto decoded = DecodeAnswer(answered[i]->body);
    if (!decoded.ok()) {
      answer.status = CallerStatus(answered[i]->expert_name, decoded.status());
      return answer;
    }
    outputs[i] = *std::move(decoded);
    answers.push_back({answered[i]->expert, answered[i]->expert_name,
                       static_cast<float>(answer.answerers[i].weight), &outputs[i]});
  }
  auto combined = request_.pool->rooms->combiner->Combine(answers);
  answer.status = combined.status();
  if (combined.ok()) answer.outputs = *std::move(combined);
  return answer;
}

void ExpertPlan::RecordDecision(Reservation& reservation) {
  if (!choice_.cascade) {
    reservation.RecordDecision(0, PricedOptions(choice_), choice_.limits.max_experts);
    return;
  }
  // The first answer of a cascade may have failed before any question arose.
  if (questions_.empty()) questions_.push_back({choice_.selection.energy_j, {{0, 0}}, 1, false});
  for (const Question& question : questions_) {
    reservation.RecordDecision(question.sunk_j, question.options, question.k, question.follow_up);
  }
}

}  // namespace penstock::router
