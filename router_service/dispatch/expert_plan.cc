#include "router_service/dispatch/expert_plan.h"

#include <algorithm>
#include <utility>

#include "router_service/dispatch/attempts/replacement.h"
#include "router_service/dispatch/choice/expected_amounts.h"
#include "router_service/dispatch/choice/priced_options.h"
#include "router_service/dispatch/failed_asks.h"
#include "router_service/dispatch/request_prompt.h"
#include "router_service/quality/answer_confidence.h"
#include "router_service/recording/choice_record.h"

namespace penstock::router {

ExpertPlan::ExpertPlan(const RouteRequest& request, ExpertChoice choice, Reservation& reservation,
                       const Clock& clock, CounterRandom random, v1::ChoiceRecord* record)
    : request_(request),
      choice_(std::move(choice)),
      reservation_(reservation),
      clock_(clock),
      random_(random),
      record_(record) {
  if (choice_.cascade || choice_.local || choice_.selection.chosen.size() > 1) {
    combined_output_ = OutputForConfidence(*request.pool);
  }
  degraded_ = choice_.degraded;
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
  spec.model = item.ServedModel();
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
  double left = std::max(0.0, request_.energy_cap_j - choice_.selection.energy_j);
  std::optional<AskSpec> local = AskLocal(left);
  if (local) left -= local->predicted_joules;
  // What the cap leaves is for second attempts, in equal parts: they may run at once.
  for (AskSpec& spec : specs) spec.retry_joules_left = left / static_cast<double>(specs.size());
  if (local) specs.push_back(*std::move(local));
  return specs;
}

size_t ExpertPlan::Enough() const {
  return choice_.selection.chosen.size() > 1 ? request_.pool->config.min_answers() : 0;
}

std::optional<AskSpec> ExpertPlan::AskLocal(double joules_left) {
  if (!choice_.local) return std::nullopt;
  const size_t expert = choice_.local->expert;
  const PoolExpert& item = request_.pool->experts[expert];
  const absl::Time now = clock_.Now();
  const EscalationOption option = Option(expert, 0, now);
  const bool fits = item.admitted && item.available() &&
                    (item.max_rows <= 0 || request_.rows <= item.max_rows) &&
                    option.energy_j <= joules_left && option.latency_s <= request_.TimeLeft(now);
  if (!fits || !reservation_.TryHold(option.amounts(), option.largest_j)) {
    choice_.local.reset();
    return std::nullopt;
  }
  AskSpec spec = Spec(expert, 0, "local", option.energy_j);
  spec.retry_joules_left = 0;  // it is worth no second attempt
  return spec;
}

const AskResult* ExpertPlan::TakenBesideLocal(const std::vector<AskResult>& asks) const {
  const AskResult* other = nullptr;
  const AskResult* local = nullptr;
  for (const AskResult& ask : asks) {
    if (!ask.status.ok()) continue;
    (ask.expert == choice_.local->expert ? local : other) = &ask;
  }
  if (other == nullptr || local == nullptr) return other != nullptr ? other : local;
  const bool both = other->expert == choice_.selection.chosen[0].expert;
  return both && TakesLocal(*choice_.local, combined_output_, other->body, local->body) ? local
                                                                                       : other;
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
    if (last_is_opinion_) return EscalateChecked(so_far);
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
  const auto rows = static_cast<uint64_t>(request_.rows);
  const CostEstimate estimate = request_.pool->record->cost.Estimate(
      expert, request_.application_class, rows, LeastLoad(item, now), choice_.work[expert]);
  EscalationOption option;
  option.expert = expert;
  option.p_right = p_right;
  option.energy_j = estimate.energy_j;
  option.latency_s = estimate.latency_s;
  option.largest_j = LargestJoules(request_, expert, rows);
  option.admissible =
      choice_.excluded[expert] == Exclusion::kNone && !Asked(expert) && item.available();
  if (choice_.amounts != nullptr) {
    const Amounts amounts =
        ExpectedAmounts(request_, expert, rows, choice_.work[expert], estimate.energy_j);
    option.accelerator_seconds = amounts.accelerator_seconds;
    option.dollars = amounts.dollars;
  }
  return option;
}

bool ExpertPlan::IsMissing(size_t expert) const {
  const Exclusion excluded = choice_.excluded[expert];
  return excluded == Exclusion::kUnhealthy || excluded == Exclusion::kBreaker ||
         excluded == Exclusion::kLeftOut ||
         (excluded == Exclusion::kNone && !request_.pool->experts[expert].available());
}

size_t ExpertPlan::MaxEscalations() const {
  const config::v1::Cascade& cascade = request_.pool->config.cascade();
  return cascade.has_max_escalations() ? cascade.max_escalations() : 1;
}

std::optional<Tensor> ExpertPlan::Confident(const AskResult& ask) const {
  auto outputs = DecodeAnswer(ask.body);
  const int index = outputs.ok() ? CombinedOutput(*outputs, combined_output_) : -1;
  if (index < 0) return std::nullopt;
  return std::move((*outputs)[static_cast<size_t>(index)]);
}

EscalationLimits ExpertPlan::Limits(const std::vector<AskResult>& so_far, absl::Time now) {
  const BudgetTerms terms = reservation_.terms();
  view_ = terms.sequence;
  EscalationLimits limits;
  limits.value = choice_.limits.value;
  limits.price_per_joule = terms.price_per_joule;
  limits.time_left_s = request_.TimeLeft(now);
  limits.request_joules_left = JoulesLeft(so_far);
  limits.headroom_j = terms.headroom_j;
  limits.largest_j = terms.largest_j;
  limits.escalations_done = escalations_;
  limits.max_escalations = MaxEscalations();
  if (choice_.amounts != nullptr) limits.others = terms.others;
  return limits;
}

void ExpertPlan::NoteFollowUp(v1::FollowUp::Kind kind, double p_stay,
                              const std::vector<EscalationOption>& options,
                              const EscalationLimits& limits, const Escalation& decided) {
  if (record_ == nullptr) return;
  v1::FollowUp& follow_up = *record_->add_follow_ups();
  if (kind != v1::FollowUp::REPLACEMENT) follow_up.set_view(view_);
  WriteFollowUp(kind, p_stay, options, limits, decided, follow_up);
}

std::vector<AskSpec> ExpertPlan::Escalate(const std::vector<AskResult>& so_far) {
  const AskResult& last = so_far.back();
  const CascadeQuality& cascade = *request_.pool->rooms->cascade;
  Question question;
  if (escalations_ == 0) question.sunk = TakenAmounts(request_, last);
  question.options = {{0, 0}};
  question.follow_up = escalations_ > 0;
  std::vector<float> quality(choice_.excluded.size());
  absl::InlinedVector<AnswerConfidence, 4> rows;
  bool broken = false;
  if (cascade.CanStand(last.expert)) {
    const std::optional<Tensor> tensor = Confident(last);
    auto confidences = tensor ? ReadConfidences(*tensor) : absl::NotFoundError("no such output");
    if (confidences.ok()) {
      rows = *std::move(confidences);
      cascade.Predict(last.expert, rows, absl::MakeSpan(quality));
    } else if (absl::IsOutOfRange(confidences.status())) {
      // Not a number: worth nothing, while the others are worth what their quality says beforehand.
      const absl::Span<const double> predicted = choice_.candidates->quality();
      std::copy(predicted.begin(), predicted.end(), quality.begin());
      quality[last.expert] = 0;
      broken = true;
    }
    if (broken || confidences.ok()) {
      confidences_.emplace_back(so_far.size() - 1, quality[last.expert]);
    }
  }
  const bool sure = !rows.empty();
  const StagePolicy* const policy = cascade.PolicyOf(last.expert);
  absl::Span<const size_t> after;
  if (policy != nullptr) after = policy->After(last.expert);
  // A table may name whom it came from: two that send a request to each other are asked once each.
  const bool all_asked =
      std::all_of(after.begin(), after.end(), [&](size_t expert) { return Asked(expert); });
  // An answer that says nothing of itself keeps no stage's promise, and has no gain to weigh.
  const bool stands =
      policy != nullptr
          ? all_asked || (sure && policy->Stands({last.expert, rows, quality}, exits_))
          : !sure && !broken;
  if (stands || escalations_ >= MaxEscalations()) {
    // A question is asked once per request, even where none arises; a later one only where it does.
    if (escalations_ == 0) questions_.push_back(std::move(question));
    return {};
  }
  return policy != nullptr ? EscalateByStage(so_far, after, std::move(question))
                           : EscalateByPrice(so_far, quality, std::move(question));
}

std::vector<AskSpec> ExpertPlan::EscalateByStage(const std::vector<AskResult>& so_far,
                                                 absl::Span<const size_t> after,
                                                 Question question) {
  const absl::Time now = clock_.Now();
  const EscalationLimits limits = Limits(so_far, now);
  std::vector<EscalationOption> options;
  for (const size_t i : after) options.push_back(Option(i, 0, now));
  const Escalation escalation = DecideStage(options, limits);
  NoteFollowUp(v1::FollowUp::STAGE, 0, options, limits, escalation);
  // No price would have kept the answer: its joules are no matter of choice.
  if (escalation.option) {
    const EscalationOption& taken = options[*escalation.option];
    question.options = {{0, taken.energy_j, taken.accelerator_seconds, taken.dollars}};
  } else if (IsMissing(after.back())) {
    degraded_ = "expert_failed";
  }
  questions_.push_back(std::move(question));
  return Take(escalation, options, limits);
}

std::vector<AskSpec> ExpertPlan::EscalateByPrice(const std::vector<AskResult>& so_far,
                                                 const std::vector<float>& quality,
                                                 Question question) {
  const CascadeQuality& cascade = *request_.pool->rooms->cascade;
  const size_t standing = so_far[*standing_].expert;
  const absl::Time now = clock_.Now();
  const EscalationLimits limits = Limits(so_far, now);
  question.options = {{limits.value * quality[standing], 0}};
  std::vector<EscalationOption> options;
  for (size_t i = 0; i < choice_.excluded.size(); ++i) {
    EscalationOption option = Option(i, quality[i], now);
    if (!cascade.Weighable(standing, i)) option.admissible = false;
    if (check_ && check_->answered && so_far[*check_->answered].expert == i) {
      option.admissible = true;  // it is there, and paid for
      option.energy_j = option.latency_s = option.accelerator_seconds = option.dollars = 0;
      option.largest_j = 0;
    }
    // What time and the request's own cap forbid is no question of price.
    if (option.admissible && option.latency_s <= limits.time_left_s &&
        option.energy_j <= limits.request_joules_left) {
      question.options.push_back({limits.value * option.p_right, option.energy_j,
                                  option.accelerator_seconds, option.dollars});
    }
    options.push_back(option);
  }
  const Escalation escalation = DecideEscalation(quality[standing], options, limits);
  NoteFollowUp(v1::FollowUp::ESCALATION, quality[standing], options, limits, escalation);
  if (std::optional<AskSpec> verifier = AskVerifier(standing, escalation, limits, now)) {
    check_ = Check{quality, std::move(question), std::nullopt};
    last_is_opinion_ = true;
    std::vector<AskSpec> specs;
    specs.push_back(*std::move(verifier));
    return specs;
  }
  questions_.push_back(std::move(question));
  if (escalation.option && check_ && check_->answered &&
      so_far[*check_->answered].expert == *escalation.option) {
    standing_ = check_->answered;
    return {};
  }
  return Take(escalation, options, limits);
}

std::optional<AskSpec> ExpertPlan::AskVerifier(size_t standing, const Escalation& fast,
                                               const EscalationLimits& limits, absl::Time now) {
  constexpr double kDelta = 0.1;
  const config::v1::Cascade& cascade = request_.pool->config.cascade();
  const SlowEstimate* const slow = request_.pool->rooms->cascade->slow();
  if (!cascade.has_slow_check() || slow == nullptr || check_ || !slow->Knows(standing)) {
    return std::nullopt;
  }
  const double delta = cascade.slow_check().has_delta() ? cascade.slow_check().delta() : kDelta;
  const EscalationOption verifier = Option(slow->verifier(), 0, now);
  // An estimate that moves by delta wins at most delta - |gain|: no more than that for its joules.
  const double priced = (limits.price_per_joule * verifier.energy_j +
                         limits.others.PriceOf(verifier.amounts())) /
                        limits.value;
  if (!NearBoundary(fast, limits.value, delta - priced)) return std::nullopt;
  if (!verifier.admissible || !(verifier.latency_s <= limits.time_left_s) ||
      !(verifier.energy_j <= limits.request_joules_left) ||
      !reservation_.TryHold(verifier.amounts(), verifier.largest_j)) {
    return std::nullopt;
  }
  AskSpec spec = Spec(verifier.expert, 1, "verification", verifier.energy_j);
  spec.retry_joules_left = std::max(0.0, limits.request_joules_left - verifier.energy_j);
  return spec;
}

std::vector<AskSpec> ExpertPlan::EscalateChecked(const std::vector<AskResult>& so_far) {
  last_is_opinion_ = false;
  const AskResult& opinion = so_far.back();
  const AskResult& standing = so_far[*standing_];
  std::vector<float> quality = check_->fast;
  Question question = std::move(check_->question);
  question.sunk += TakenAmounts(request_, opinion);
  if (opinion.status.ok()) {
    const std::optional<Tensor> a = Confident(standing), b = Confident(opinion);
    const std::vector<Verification> rows =
        a && b ? VerificationsOf(*a, *b) : std::vector<Verification>();
    if (!rows.empty()) {
      request_.pool->rooms->cascade->slow()->Predict(standing.expert, rows,
                                                     absl::MakeSpan(quality));
      check_->answered = so_far.size() - 1;
      confidences_.emplace_back(*standing_, quality[standing.expert]);
      confidences_.emplace_back(so_far.size() - 1, quality[opinion.expert]);
    }
  }
  // Without an opinion the fast estimate decides, as it would have.
  return EscalateByPrice(so_far, quality, std::move(question));
}

std::vector<AskSpec> ExpertPlan::Take(const Escalation& escalation,
                                      const std::vector<EscalationOption>& options,
                                      const EscalationLimits& limits) {
  if (escalation.stopped_by_budget) degraded_ = "budget";
  if (escalation.stopped_by_deadline) degraded_ = "deadline";
  if (!escalation.option) return {};
  const EscalationOption& taken = options[*escalation.option];
  if (!reservation_.TryHold(taken.amounts(), taken.largest_j)) {
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
  // What a tenant's own expert says stands beside the global one's answer, not for it.
  if (!MayAskInstead(so_far, choice_.local)) return {};
  asked_another_ = true;
  const absl::Time now = clock_.Now();
  EscalationLimits limits;
  limits.value = choice_.limits.value;
  limits.price_per_joule = choice_.limits.price_per_joule;
  limits.largest_j = choice_.limits.largest_j;
  limits.time_left_s = request_.TimeLeft(now);
  limits.request_joules_left = JoulesLeft(so_far);
  std::vector<EscalationOption> options;
  for (size_t i = 0; i < choice_.excluded.size(); ++i) {
    const SelectionCandidate candidate = (*choice_.candidates)[i];
    EscalationOption& option = options.emplace_back(Option(i, candidate.score, now));
    option.admissible = option.admissible && !(candidate.quality < request_.min_quality) &&
                        HasLivingReplica(request_.pool->experts[i], so_far);
  }
  const Escalation decided = DecideReplacement(options, limits);
  NoteFollowUp(v1::FollowUp::REPLACEMENT, 0, options, limits, decided);
  if (!decided.option) return {};
  const EscalationOption& best = options[*decided.option];
  // No token goes on what nothing covers, and nothing is held for what there is no token for.
  if (HasRetry(request_, now) && !reservation_.TryHold(best.amounts(), best.largest_j)) return {};
  if (!request_.pool->record->TakeRetry(now)) return {};
  std::vector<AskSpec> specs;
  specs.push_back(Spec(best.expert, 1, "retry", best.energy_j));
  specs.back().retry_joules_left = std::max(0.0, limits.request_joules_left - best.energy_j);
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
    if (check_ && check_->answered == standing_) answer.taken_opinion = standing_;
    // An opinion that came, or did not, leaves the answer as good as it was decided to be.
    const AskResult& last = result.asks.back();
    const bool later = *standing_ + 1 < result.asks.size();
    if (later && !result.end.ok()) {
      answer.degraded = "deadline";
    } else if (later && !last.status.ok() && last.reason != "verification") {
      answer.degraded = "expert_failed";
    }
  } else if (choice_.local) {
    const AskResult& taken = *TakenBesideLocal(result.asks);
    answer.taken_alone = static_cast<size_t>(&taken - result.asks.data());
    answer.answerers = {{taken.expert_name, 1}};
    answer.pass = taken.body;
    if (!result.asks.front().status.ok()) {
      answer.degraded = result.end.ok() ? "expert_failed" : "deadline";
    }
  } else {
    answer = Combined(result.asks);
    const bool all = std::all_of(result.asks.begin(), result.asks.end(),
                                 [](const AskResult& ask) { return ask.status.ok() || ask.spare; });
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
  const bool ranked = request_.pool->config.combiner() == config::v1::RANKED;
  auto combined = request_.pool->rooms->combiner->CombineFor(ranked ? PromptOf(request_) : "",
                                                             answers, answer.parts);
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
  if (questions_.empty()) questions_.push_back({ChosenAmounts(choice_), {{0, 0}}, 1, false});
  for (const Question& question : questions_) {
    reservation.RecordDecision(question.sunk, question.options, question.k, question.follow_up);
  }
}

}  // namespace penstock::router
