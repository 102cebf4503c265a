#include "router_service/dispatch/expert_ask.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "router_service/dispatch/attempts/retry_pushback.h"
#include "router_service/refusals/refusal.h"
#include "router_service/replicas/replica_view.h"

namespace penstock::router {
namespace {

// Where an attempt is lost and nobody else can be asked: when to look again, at least; with the
// silence's length the pauses grow.
constexpr absl::Duration kAskAgain = absl::Milliseconds(50);

// What is counted of a second attempt that was not made; unset: none was due.
std::optional<RetryResult> RefusalOf(RetryVerdict verdict) {
  switch (verdict) {
    case RetryVerdict::kRetry:
    case RetryVerdict::kNotRetryable:
    case RetryVerdict::kAlreadyTried:
      return std::nullopt;
    case RetryVerdict::kPushedBack:
      return RetryResult::kPushedBack;
    case RetryVerdict::kNoReplica:
      return RetryResult::kNoReplica;
    case RetryVerdict::kNoTime:
      return RetryResult::kNoTime;
    case RetryVerdict::kNoJoules:
      return RetryResult::kNoJoules;
  }
  return std::nullopt;
}

AskAttempt::Away AwayAfter(const AttemptEnd& end, bool connection_lost) {
  const bool away = absl::IsUnavailable(end.status) ||
                    (absl::IsCancelled(end.status) && !end.cancelled_by_us);
  if (!away) return AskAttempt::Away::kNothing;
  return connection_lost ? AskAttempt::Away::kEndpoint : AskAttempt::Away::kModel;
}

}  // namespace

ExpertAsk::ExpertAsk(Context context, AskSpec spec, Done done)
    : context_(std::move(context)),
      spec_(std::move(spec)),
      random_(spec_.seed, 0),
      done_(std::move(done)) {
  MutexLock lock(mutex_);
  attempts_.reserve(2);
  result_.expert = spec_.expert;
  result_.expert_name = spec_.expert_name;
  result_.model = spec_.model;
  result_.reason = spec_.reason;
  result_.weight = spec_.weight;
  result_.rows = spec_.rows;
  result_.work = spec_.work;
}

void ExpertAsk::Start() {
  Done done;
  AskResult result;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    if (Replica* replica = Pick(); replica != nullptr) {
      Begin(replica, spec_.reason);
    } else {
      result_.status = Because(
          Refusal::kNoExpert,
          absl::UnavailableError(
              absl::StrCat("expert ", spec_.expert_name, " has no healthy replica left to ask")));
      std::vector<std::shared_ptr<OutgoingCall>> none;
      done = std::move(done_);
      result = Close(none);
    }
  }
  if (done) {
    done(std::move(result));
    return;
  }
  Send(0);
}

size_t ExpertAsk::Begin(Replica* replica, absl::string_view reason) {
  const size_t index = attempts_.size();
  Attempt& attempt = attempts_.emplace_back();
  attempt.replica = replica;
  attempt.started = context_.clock.Now();
  v1::Run& run = attempt.record.run;
  run.set_expert(spec_.expert_name);
  run.set_replica(replica->address());
  run.set_weight(spec_.weight);
  run.set_reason(std::string(reason));
  if (context_.trace != nullptr) {
    attempt.span = context_.trace->Begin(spec_.expert_name, replica->address(), reason, index + 1,
                                         attempt.started);
  }
  attempt.load = replica->Load(attempt.started);
  attempt.predicted = context_.record->cost.Estimate(spec_.expert, spec_.application_class,
                                                     spec_.rows, attempt.load, spec_.work);
  attempt.in_flight = replica->AttemptStarted(attempt.started);
  if (attempt.predicted.latency_s > 0) {
    attempt.late_at = attempt.started + absl::Seconds(attempt.predicted.latency_s);
  }
  if (index == 0) {
    attempt.lost_at = attempt.started + SilenceLimit(attempt.predicted.p99_latency_s,
                                                     context_.deadline - attempt.started);
    if (Hedging* const hedging = context_.record->hedging.get(); hedging != nullptr) {
      const absl::Duration delay = hedging->FirstAttempt(spec_.expert);
      if (spec_.hedge_joules_left) attempt.slow_at = attempt.started + delay;
    }
  }
  ScheduleNext(index);
  return index;
}

void ExpertAsk::Send(size_t index) {
  Replica* replica = nullptr;
  Bytes request;
  CallOptions options;
  options.deadline = context_.deadline;
  options.metadata = context_.metadata;
  {
    MutexLock lock(mutex_);
    replica = attempts_[index].replica;
    if (closed_) {  // ended before it was sent: nothing comes back
      replica->AttemptEnded(false, false, absl::ZeroDuration());
      return;
    }
    request = spec_.request;
    if (context_.trace != nullptr) {
      context_.trace->Propagate(attempts_[index].span, options.metadata);
    }
  }
  std::shared_ptr<OutgoingCall> call = replica->target().ModelInfer(
      std::move(request), std::move(options),
      [self = shared_from_this(), index](InferReply reply) {
        self->OnReply(index, std::move(reply));
      });
  {
    MutexLock lock(mutex_);
    if (!attempts_[index].ended) {
      attempts_[index].call = std::move(call);
      return;
    }
  }
  // It ended before its handle was known: by its own answer, and then this changes nothing, or
  // because the ask was closed.
  if (call != nullptr) call->Cancel();
}

void ExpertAsk::OnReply(size_t index, InferReply reply) {
  std::vector<std::shared_ptr<OutgoingCall>> cancel;
  Done done;
  AskResult result;
  std::optional<size_t> second;
  {
    MutexLock lock(mutex_);
    Attempt& attempt = attempts_[index];
    const absl::Duration latency = context_.clock.Now() - attempt.started;
    const bool asked_to_stop = attempt.ended;
    absl::Status status = reply.status;
    if (!asked_to_stop && status.ok()) status = spec_.check(reply.body);
    attempt.replica->AttemptEnded(status.ok(), !asked_to_stop && !status.ok(), latency);
    if (asked_to_stop) return;
    Judge(attempt, status, false, reply.connection_lost);
    EndAttempt(attempt, status, reply.trailers);
    result_.status = status;
    result_.trailers = std::move(reply.trailers);
    if (status.ok()) {
      result_.body = std::move(reply.body);
    } else {
      for (const Attempt& other : attempts_) {
        if (!other.ended) return;  // it may still answer
      }
      RetryQuestion question;
      question.status = status;
      question.pushback = ReadRetryPushback(result_.trailers);
      if (RetryLater(question)) return;
      second = BeginSecond(std::move(question));
    }
    if (!second) {
      done = std::move(done_);
      result = Close(cancel);
    }
  }
  if (second) {
    Send(*second);
    return;
  }
  for (const auto& call : cancel) call->Cancel();
  done(std::move(result));
}

void ExpertAsk::ScheduleNext(size_t index) {
  Attempt& attempt = attempts_[index];
  const absl::Time next = std::min({attempt.late_at, attempt.slow_at, attempt.lost_at});
  attempt.timer = next == absl::InfiniteFuture()
                      ? 0
                      : context_.timers.Schedule(next, [self = shared_from_this(), index] {
                          self->OnSilence(index);
                        });
}

void ExpertAsk::OnSilence(size_t index) {
  std::optional<size_t> second;
  {
    MutexLock lock(mutex_);
    Attempt& attempt = attempts_[index];
    if (closed_ || attempt.ended) return;
    const absl::Time now = context_.clock.Now();
    if (now >= attempt.late_at) {
      attempt.late_at = absl::InfiniteFuture();
      attempt.late = context_.record->cost.ObserveLate(
          spec_.expert, spec_.application_class, spec_.work, attempt.predicted.margin);
    }
    RetryQuestion question;
    if (now >= attempt.lost_at) {
      const bool first_time = !attempt.lost;
      const absl::Duration silent = now - attempt.started;
      attempt.lost = true;
      attempt.slow_at = attempt.lost_at = absl::InfiniteFuture();
      question.cause = RetryQuestion::Cause::kLost;
      if (attempts_.size() == 1) {
        RetryQuestion completed = question;
        Complete(completed);
        if (first_time || completed.untried_replicas > 0) second = BeginSecond(std::move(question));
        // Another replica may be back before the deadline.
        if (!second && spec_.replicas.size() > 1) {
          attempts_[index].lost_at = now + std::max(kAskAgain, silent / 4);
        }
      }
    } else if (now >= attempt.slow_at) {
      attempt.slow_at = absl::InfiniteFuture();
      question.cause = RetryQuestion::Cause::kSlow;
      second = BeginSecond(std::move(question));
    }
    // A hedge leaves lost_at: that the first attempt stays silent says something of its replica.
    ScheduleNext(index);
  }
  if (second) Send(*second);
}

Replica* ExpertAsk::Pick() {
  absl::InlinedVector<ReplicaView, 16> views;
  absl::InlinedVector<size_t, 2> tried;
  ReplicaChoice& choice = *context_.record->replica_choice;
  double known_rates = 0;
  size_t known = 0;
  const absl::Time now = context_.clock.Now();
  for (size_t i = 0; i < spec_.replicas.size(); ++i) {
    const Replica& replica = *spec_.replicas[i];
    views.push_back(replica.View(now, choice.signal_age()));
    if (views.back().rate > 0) {
      known_rates += views.back().rate;
      ++known;
    }
    for (const Attempt& attempt : attempts_) {
      if (attempt.replica == &replica) tried.push_back(i);
    }
  }
  // A replica that has not answered yet is taken to be like the others.
  for (ReplicaView& view : views) {
    if (view.rate == 0) view.rate = known > 0 ? known_rates / static_cast<double>(known) : 1;
  }
  MarkUsable(spec_.replicas, tried, *context_.dead, spec_.model, absl::MakeSpan(views));
  const absl::StatusOr<size_t> picked = attempts_.empty()
                                            ? choice.PickFirst(spec_.expert, views, random_)
                                            : choice.PickAnother(views, tried, random_);
  return picked.ok() ? spec_.replicas[*picked].get() : nullptr;
}

bool ExpertAsk::RetryLater(RetryQuestion question) {
  if (question.pushback == absl::ZeroDuration()) return false;
  Complete(question);
  if (DecideRetry(question) != RetryVerdict::kRetry) return false;
  retry_timer_ = context_.timers.Schedule(context_.clock.Now() + question.pushback,
                                          [self = shared_from_this()] { self->OnRetryDue(); });
  return true;
}

void ExpertAsk::OnRetryDue() {
  std::vector<std::shared_ptr<OutgoingCall>> none;
  Done done;
  AskResult result;
  std::optional<size_t> second;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    RetryQuestion question;
    question.status = result_.status;
    second = BeginSecond(std::move(question));
    if (!second) {
      done = std::move(done_);
      result = Close(none);
    }
  }
  if (second) {
    Send(*second);
  } else {
    done(std::move(result));
  }
}

void ExpertAsk::Complete(RetryQuestion& question) const {
  question.attempts = attempts_.size();
  for (const std::shared_ptr<Replica>& replica : spec_.replicas) {
    const bool tried =
        std::any_of(attempts_.begin(), attempts_.end(),
                    [&](const Attempt& attempt) { return attempt.replica == replica.get(); });
    if (!tried && replica->available() && !context_.dead->Has(replica->target(), spec_.model)) {
      ++question.untried_replicas;
    }
  }
  question.time_left = context_.deadline - context_.clock.Now();
  question.energy_j = spec_.predicted_joules;
  question.request_joules_left = spec_.retry_joules_left;
}

std::optional<size_t> ExpertAsk::BeginSecond(RetryQuestion question) {
  Complete(question);
  const bool hedge = question.cause == RetryQuestion::Cause::kSlow;
  if (hedge) {
    question.time_left -= absl::Seconds(attempts_[0].predicted.expected_latency_s);
    question.request_joules_left =
        std::min(question.request_joules_left, *spec_.hedge_joules_left);
  }
  PoolRecord& record = *context_.record;
  const RetryVerdict verdict = DecideRetry(question);
  if (verdict != RetryVerdict::kRetry) {
    const std::optional<RetryResult> refused = hedge ? std::nullopt : RefusalOf(verdict);
    if (refused) record.resilience.Retried(*refused);
    return std::nullopt;
  }
  Replica* replica = Pick();
  if (replica == nullptr) return std::nullopt;
  if (hedge && !context_.record->hedging->TryTake()) {
    result_.hedge_refused = true;
    return std::nullopt;
  }
  if (!hedge && !record.TakeRetry(context_.clock.Now())) return std::nullopt;
  return Begin(replica, hedge ? "hedge" : "retry");
}

void ExpertAsk::Judge(Attempt& attempt, const absl::Status& status, bool cancelled,
                      bool connection_lost) {
  const absl::Time now = context_.clock.Now();
  AttemptEnd end;
  end.status = status;
  end.cancelled_by_us = cancelled;
  end.lasted = now - attempt.started;
  end.granted = context_.deadline - attempt.started;
  end.expected = absl::Seconds(attempt.predicted.latency_s);
  if (cancelled && attempt.lost) {
    // Nobody waited for it any more, but it had its time.
    end.status = absl::DeadlineExceededError("lost");
    end.granted =
        std::min(end.granted, SilenceLimit(attempt.predicted.p99_latency_s, end.granted));
  }
  attempt.record.away = AwayAfter(end, connection_lost);
  switch (attempt.record.away) {
    case AskAttempt::Away::kNothing:
      break;
    case AskAttempt::Away::kModel:
      context_.dead->Add(attempt.replica->target(), spec_.model);
      break;
    case AskAttempt::Away::kEndpoint:
      context_.dead->Add(attempt.replica->target());
      break;
  }
  if (attempt.replica->guard().AttemptEnded(end, attempt.started, now)) {
    context_.record->resilience.BreakerOpened(spec_.expert);
  }
}

void ExpertAsk::EndAttempt(Attempt& attempt, const absl::Status& status, const Metadata& trailers) {
  attempt.ended = true;
  if (attempt.timer != 0) context_.timers.Cancel(attempt.timer);
  AskAttempt& record = attempt.record;
  record.report = ReadAttemptReport(trailers);
  record.latency = context_.clock.Now() - attempt.started;
  record.answered = status.ok();
  record.predicted = attempt.predicted;
  const absl::Time now = attempt.started + record.latency;
  const AttemptReport& report = record.report;
  if (report.queue_depth) attempt.replica->QueueReported(*report.queue_depth, now);
  const std::optional<double>& there = report.in_flight ? report.in_flight : report.queue_depth;
  if (there) attempt.replica->InFlightReported(*there, now);
  // Another's answer has overtaken it: how long it has been out is the least that it takes.
  const bool overtaken =
      absl::IsCancelled(status) && result_.status.ok() && &attempt == &attempts_.front();
  if (status.ok() || overtaken) {
    attempt.replica->Observe(attempt.in_flight, record.latency, now);
    if (context_.record->hedging != nullptr && &attempt == &attempts_.front()) {
      context_.record->hedging->Observe(spec_.expert, record.latency);
    }
  }
  double joules = spec_.predicted_joules;
  EnergyMethod method = joules > 0 ? EnergyMethod::kModelled : EnergyMethod::kUnknown;
  CostOutcome outcome;
  if (record.report.joules) {
    joules = *record.report.joules;
    method = record.report.method;
    // What a refusal took says nothing about what an answer takes.
    const absl::Duration compute = record.report.compute.value_or(absl::ZeroDuration());
    if (status.ok() || compute > absl::ZeroDuration()) {
      outcome.energy_j = joules;
    }
  }
  outcome.expert = spec_.expert;
  outcome.application_class = spec_.application_class;
  outcome.rows = spec_.rows;
  outcome.work = spec_.work;
  outcome.load = attempt.load;
  outcome.predicted = attempt.predicted;
  if (status.ok()) outcome.latency_s = absl::ToDoubleSeconds(record.latency);
  outcome.late_counted = attempt.late;
  context_.record->cost.Observe(outcome);
  context_.record->statistics.Dispatched(spec_.expert, joules);
  if (record.report.queue || record.report.compute) {
    context_.record->statistics.Reported(record.report.queue.value_or(absl::ZeroDuration()),
                                         record.report.compute.value_or(absl::ZeroDuration()));
  }
  result_.energy.Add(joules, method);
  record.run.set_latency_ms(absl::ToDoubleMilliseconds(record.latency));
  record.run.set_energy_j(joules);
  record.run.set_energy_method(std::string(EnergyMethodName(method)));
  record.run.set_status(absl::StatusCodeToString(status.code()));
  EndAttemptSpan(attempt.span, record.run, status, closed_ ? &result_.status : nullptr, now);
}

AskResult ExpertAsk::Close(std::vector<std::shared_ptr<OutgoingCall>>& cancel) {
  closed_ = true;
  for (Attempt& attempt : attempts_) {
    if (attempt.ended) continue;
    // Who is abandoned for the deadline was silent until then.
    const bool out_of_time = absl::IsDeadlineExceeded(result_.status);
    Judge(attempt, out_of_time ? result_.status : absl::CancelledError(), true);
    EndAttempt(attempt, absl::CancelledError(), {});
    if (attempt.call != nullptr) cancel.push_back(std::move(attempt.call));
  }
  for (Attempt& attempt : attempts_) {
    result_.attempts.push_back(std::move(attempt.record));
    attempt.call = nullptr;
  }
  if (retry_timer_ != 0) context_.timers.Cancel(retry_timer_);
  spec_.request = Bytes();
  return std::move(result_);
}

bool ExpertAsk::Abandon(const absl::Status& why, AskResult& result) {
  std::vector<std::shared_ptr<OutgoingCall>> cancel;
  Done dropped;
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    result_.status = why;
    dropped = std::move(done_);
    result = Close(cancel);
  }
  for (const auto& call : cancel) call->Cancel();
  return true;
}

}  // namespace penstock::router
