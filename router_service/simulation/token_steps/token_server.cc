#include "router_service/simulation/token_steps/token_server.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {

bool TokenServer::FinishesLater(const Running& a, const Running& b) {
  return a.last_step != b.last_step ? a.last_step > b.last_step : a.admission > b.admission;
}

void TokenServer::Arrive(double now, const TokenRequest& request) {
  waiting_.push_back(request);
  if (phase_ == Phase::kIdle) {
    Begin(now);
  } else if (phase_ == Phase::kSteps && running_.size() < profile_->batch_limit) {
    // The step under way is finished first.
    const double steps = std::ceil((now - began_s_) / step_s_);
    planned_ = std::min(planned_, std::max<uint64_t>(1, static_cast<uint64_t>(steps)));
    next_s_ = began_s_ + static_cast<double>(planned_) * step_s_;
  }
}

void TokenServer::Advance(std::vector<TokenAnswer>& answers) {
  const double now = next_s_;
  if (phase_ == Phase::kSteps) {
    steps_taken_ += planned_;
    const double batch = static_cast<double>(running_.size());
    joules_each_ += static_cast<double>(planned_) * profile_->StepJoules(batch) / batch;
  }
  Finish(answers);
  Begin(now);
}

void TokenServer::Finish(std::vector<TokenAnswer>& answers) {
  while (!running_.empty() && running_.front().last_step <= steps_taken_) {
    const Running& done = running_.front();
    answers.push_back(
        {done.number, done.started_s, done.prompt_joules + joules_each_ - done.joules_before});
    std::pop_heap(running_.begin(), running_.end(), FinishesLater);
    running_.pop_back();
  }
}

void TokenServer::Begin(double now) {
  began_s_ = now;
  double prompts = 0;
  bool admitted = false;
  while (!waiting_.empty() && running_.size() < profile_->batch_limit) {
    const TokenRequest& request = waiting_.front();
    prompts += request.prompt_tokens;
    admitted = true;
    running_.push_back(
        {.last_step = steps_taken_ + std::max<uint64_t>(request.output_tokens, 1) - 1,
         .admission = admissions_++,
         .started_s = now,
         .joules_before = joules_each_,
         .prompt_joules = request.prompt_tokens * profile_->joules_per_prompt_token,
         .number = request.number});
    std::push_heap(running_.begin(), running_.end(), FinishesLater);
    waiting_.pop_front();
  }
  if (admitted) {
    phase_ = Phase::kPrefill;
    next_s_ = now + profile_->PrefillSeconds(prompts);
  } else if (!running_.empty()) {
    phase_ = Phase::kSteps;
    step_s_ = profile_->StepSeconds(static_cast<double>(running_.size()));
    planned_ = running_.front().last_step - steps_taken_;
    next_s_ = now + static_cast<double>(planned_) * step_s_;
  } else {
    phase_ = Phase::kIdle;
    next_s_ = kNever;
  }
}

}  // namespace penstock::router
