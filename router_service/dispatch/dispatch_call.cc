#include "router_service/dispatch/dispatch_call.h"

#include <utility>

#include "router_service/refusals/refusal.h"

namespace penstock::router {

DispatchCall::DispatchCall(ExpertAsk::Context context, Next next, Done done, size_t enough)
    : context_(std::move(context)),
      enough_(enough),
      next_(std::move(next)),
      done_(std::move(done)) {}

void DispatchCall::Start(std::vector<AskSpec> first) {
  if (context_.deadline != absl::InfiniteFuture()) {
    MutexLock lock(mutex_);
    deadline_timer_ =
        context_.timers.Schedule(context_.deadline, [self = shared_from_this()] {
          self->End(Because(Refusal::kDeadline, absl::DeadlineExceededError(
                                                    "the latency budget ran out at the experts")));
        });
  }
  bool ended = false;
  {
    MutexLock lock(mutex_);
    ended = !end_.ok();
  }
  if (ended || first.empty()) {
    Complete();
    return;
  }
  Add(std::move(first));
}

void DispatchCall::Cancel() {
  End(Because(Refusal::kCancelled, absl::CancelledError("the client went away")));
}

void DispatchCall::Add(std::vector<AskSpec> specs) {
  std::vector<std::shared_ptr<ExpertAsk>> added;
  {
    MutexLock lock(mutex_);
    for (AskSpec& spec : specs) {
      const size_t index = asks_.size();
      added.push_back(std::make_shared<ExpertAsk>(
          context_, std::move(spec), [self = shared_from_this(), index](AskResult result) {
            self->OnAskDone(index, std::move(result));
          }));
      asks_.push_back(added.back());
    }
    results_.resize(asks_.size());
    answered_.resize(asks_.size(), false);
    open_ = added.size();
  }
  for (const auto& ask : added) ask->Start();
  // An end that came before the asks were there found nothing to abandon.
  absl::Status end;
  {
    MutexLock lock(mutex_);
    end = end_;
  }
  if (!end.ok()) End(end);
}

std::vector<std::pair<size_t, std::shared_ptr<ExpertAsk>>> DispatchCall::Spare() {
  std::vector<std::pair<size_t, std::shared_ptr<ExpertAsk>>> spare;
  if (enough_ == 0) return spare;
  size_t answers = 0;
  for (size_t i = 0; i < answered_.size(); ++i) answers += answered_[i] && results_[i].status.ok();
  if (answers < enough_) return spare;
  for (size_t i = 0; i < asks_.size(); ++i) {
    if (!answered_[i]) spare.emplace_back(i, asks_[i]);
  }
  return spare;
}

void DispatchCall::OnAskDone(size_t index, AskResult result) {
  std::vector<std::pair<size_t, std::shared_ptr<ExpertAsk>>> spare;
  bool waiting = false;
  {
    MutexLock lock(mutex_);
    results_[index] = std::move(result);
    answered_[index] = true;
    waiting = --open_ > 0;
    if (waiting) spare = Spare();
  }
  for (auto& [other, ask] : spare) {
    AskResult cancelled;
    if (!ask->Abandon(absl::CancelledError("enough others answered"), cancelled)) continue;
    cancelled.spare = true;
    OnAskDone(other, std::move(cancelled));
  }
  if (waiting) return;
  // Nothing is open: this thread alone decides what follows, unless the end came from outside.
  std::vector<AskSpec> more;
  bool ended = false;
  {
    MutexLock lock(mutex_);
    ended = !end_.ok();
  }
  if (!ended) more = next_(results_);
  if (!more.empty()) {
    {
      MutexLock lock(mutex_);
      ended = !end_.ok();
    }
    if (!ended) {
      Add(std::move(more));
      return;
    }
  }
  Complete();
}

void DispatchCall::End(absl::Status why) {
  std::vector<std::pair<size_t, std::shared_ptr<ExpertAsk>>> open;
  {
    MutexLock lock(mutex_);
    if (completed_) return;
    if (end_.ok()) end_ = why;
    for (size_t i = 0; i < asks_.size(); ++i) {
      if (!answered_[i]) open.emplace_back(i, asks_[i]);
    }
  }
  // Where Abandon says no, the answer is on its way to OnAskDone and counts.
  for (auto& [index, ask] : open) {
    AskResult result;
    if (ask->Abandon(why, result)) OnAskDone(index, std::move(result));
  }
}

void DispatchCall::Complete() {
  Done done;
  DispatchResult result;
  {
    MutexLock lock(mutex_);
    if (completed_) return;
    completed_ = true;
    if (deadline_timer_ != 0) context_.timers.Cancel(deadline_timer_);
    done = std::move(done_);
    result.end = end_;
    result.asks = std::move(results_);
    asks_.clear();
  }
  next_ = nullptr;  // it owns the request, which owns this
  done(std::move(result));
}

}  // namespace penstock::router
