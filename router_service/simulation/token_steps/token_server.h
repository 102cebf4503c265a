#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "router_service/simulation/token_steps/token_profile.h"

namespace penstock::router {

struct TokenRequest {
  uint32_t number = 0;  // the caller's
  double prompt_tokens = 0;
  uint64_t output_tokens = 1;  // 0 counts as 1
};

struct TokenAnswer {
  uint32_t number = 0;
  double started_s = 0;  // its prefill began
  double joules = 0;
};

// One server with continuous batching (Yu et al., Orca, OSDI 2022). At each boundary of a step,
// waiting requests are admitted in order of arrival up to the batch limit, and their prompts are
// read together while the running ones stand still; else all running requests get a token.
// A prefill gives the first token. Steps between two arrivals or completions are one event, and
// nothing here takes time per token. Not thread-safe.
class TokenServer {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  explicit TokenServer(const TokenProfile& profile) : profile_(&profile) {}

  // `now` is not before the last call's and not after next_s(). At a boundary's own moment:
  // admitted there.
  void Arrive(double now, const TokenRequest& request);
  // The next boundary at which something happens; kNever: it is idle.
  double next_s() const { return next_s_; }
  // Goes there; `answers` gets who has finished, in order of admission.
  void Advance(std::vector<TokenAnswer>& answers);

  size_t running() const { return running_.size(); }  // prompts that are being read included
  size_t waiting() const { return waiting_.size(); }
  size_t in_system() const { return running_.size() + waiting_.size(); }

 private:
  enum class Phase : uint8_t { kIdle, kPrefill, kSteps };
  struct Running {
    uint64_t last_step = 0;  // finished once this many steps were taken
    uint64_t admission = 0;
    double started_s = 0;
    double joules_before = 0;  // of a request that ran all the time, when this one joined
    double prompt_joules = 0;
    uint32_t number = 0;
  };
  static bool FinishesLater(const Running& a, const Running& b);

  void Begin(double now);
  void Finish(std::vector<TokenAnswer>& answers);

  const TokenProfile* profile_;
  Phase phase_ = Phase::kIdle;
  std::deque<TokenRequest> waiting_;
  std::vector<Running> running_;  // heap by last_step
  uint64_t admissions_ = 0;
  uint64_t steps_taken_ = 0;
  double joules_each_ = 0;  // so far, of a request that ran all the time
  // Of the phase:
  double began_s_ = 0;
  double step_s_ = 0;
  uint64_t planned_ = 0;  // steps up to the next boundary that matters
  double next_s_ = kNever;
};

}  // namespace penstock::router
