#include "router_service/dispatch/expert_ask.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "router_service/dispatch/attempts/replica_picker.h"

namespace penstock::router {

ExpertAsk::ExpertAsk(Context context, AskSpec spec, Done done)
    : context_(std::move(context)),
      spec_(std::move(spec)),
      random_(spec_.seed, 0),
      done_(std::move(done)) {
  MutexLock lock(mutex_);
  attempts_.reserve(2);
  result_.expert = spec_.expert;
  result_.expert_name = spec_.expert_name;
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
      Begin(replica);
    } else {
      result_.status = absl::UnavailableError(
          absl::StrCat("expert ", spec_.expert_name, " has no healthy replica"));
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

size_t ExpertAsk::Begin(Replica* replica) {
  const size_t index = attempts_.size();
  Attempt& attempt = attempts_.emplace_back();
  attempt.replica = replica;
  attempt.started = context_.clock.Now();
  v1::Run& run = attempt.record.run;
  run.set_expert(spec_.expert_name);
  run.set_replica(replica->address());
  run.set_weight(spec_.weight);
  run.set_reason(index == 0 ? spec_.reason : "retry");
  attempt.load = replica->Load(attempt.started);
  attempt.predicted = context_.record->cost.Estimate(spec_.expert, spec_.application_class,
                                                     spec_.rows, attempt.load, spec_.work);
  replica->AttemptStarted();
  if (attempt.predicted.latency_s > 0) {
    attempt.timer = context_.timers.Schedule(
        attempt.started + absl::Seconds(attempt.predicted.latency_s),
        [self = shared_from_this(), index] { self->OnLate(index); });
  }
  return index;
}

void ExpertAsk::Send(size_t index) {
  Replica* replica = nullptr;
  Bytes request;
  {
    MutexLock lock(mutex_);
    replica = attempts_[index].replica;
    if (closed_) {  // ended before it was sent: nothing comes back
      replica->AttemptEnded(false, false, absl::ZeroDuration());
      return;
    }
    request = spec_.request;
  }
  CallOptions options;
  options.deadline = context_.deadline;
  options.metadata = context_.metadata;
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

void ExpertAsk::OnLate(size_t index) {
  MutexLock lock(mutex_);
  Attempt& attempt = attempts_[index];
  if (closed_ || attempt.ended) return;
  attempt.late = context_.record->cost.ObserveLate(
      spec_.expert, spec_.application_class, spec_.work, attempt.predicted.margin);
  if (index > 0) return;
  attempt.timer = context_.timers.Schedule(
      attempt.started + SilenceLimit(attempt.predicted.p99_latency_s),
      [self = shared_from_this(), index] { self->OnSilent(index); });
}

void ExpertAsk::OnSilent(size_t index) {
  std::optional<size_t> second;
  {
    MutexLock lock(mutex_);
    if (closed_ || attempts_[index].ended) return;
    RetryQuestion question;
    question.cause = RetryQuestion::Cause::kSilent;
    second = BeginSecond(std::move(question));
  }
  if (second) Send(*second);
}

Replica* ExpertAsk::Pick() {
  absl::InlinedVector<ReplicaView, 8> views;
  absl::InlinedVector<size_t, 2> tried;
  double known_rates = 0;
  size_t known = 0;
  const absl::Time now = context_.clock.Now();
  for (size_t i = 0; i < spec_.replicas.size(); ++i) {
    const Replica& replica = *spec_.replicas[i];
    const ReplicaLoad load = replica.Load(now);
    views.push_back({replica.healthy(), load.queue_depth + load.in_flight, replica.rate()});
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
  const absl::StatusOr<size_t> picked = PickReplica(views, tried, random_);
  return picked.ok() ? spec_.replicas[*picked].get() : nullptr;
}

std::optional<size_t> ExpertAsk::BeginSecond(RetryQuestion question) {
  question.attempts = attempts_.size();
  for (const std::shared_ptr<Replica>& replica : spec_.replicas) {
    const bool tried =
        std::any_of(attempts_.begin(), attempts_.end(),
                    [&](const Attempt& attempt) { return attempt.replica == replica.get(); });
    if (!tried && replica->healthy()) ++question.untried_replicas;
  }
  question.time_left = context_.deadline - context_.clock.Now();
  question.energy_j = spec_.predicted_joules;
  question.request_joules_left = spec_.retry_joules_left;
  if (DecideRetry(question) != RetryVerdict::kRetry) return std::nullopt;
  Replica* replica = Pick();
  if (replica == nullptr) return std::nullopt;
  return Begin(replica);
}

void ExpertAsk::EndAttempt(Attempt& attempt, const absl::Status& status, const Metadata& trailers) {
  attempt.ended = true;
  if (attempt.timer != 0) context_.timers.Cancel(attempt.timer);
  AskAttempt& record = attempt.record;
  record.report = ReadAttemptReport(trailers);
  record.latency = context_.clock.Now() - attempt.started;
  record.answered = status.ok();
  if (record.report.queue_depth) {
    attempt.replica->QueueReported(*record.report.queue_depth, context_.clock.Now());
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
}

AskResult ExpertAsk::Close(std::vector<std::shared_ptr<OutgoingCall>>& cancel) {
  closed_ = true;
  for (Attempt& attempt : attempts_) {
    if (attempt.ended) continue;
    EndAttempt(attempt, absl::CancelledError(), {});
    if (attempt.call != nullptr) cancel.push_back(std::move(attempt.call));
  }
  for (Attempt& attempt : attempts_) {
    result_.attempts.push_back(std::move(attempt.record));
    attempt.call = nullptr;
  }
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
