#pragma once

#include <cstddef>
#include <vector>

#include "router_service/simulation/token_steps/token_simulation.h"

namespace penstock::router {

// How promises were kept. Shares of nothing are NaN.
struct PromiseReport {
  size_t requests = 0;  // that are counted
  // Of all requests, promised or not: answered within the q_p that was predicted of their expert.
  double coverage = 0;
  // The same of the expert where it is least, of those with kExpertRequests.
  double worst_expert_coverage = 0;
  size_t worst_expert = 0;
  double promised_share = 0;
  double promised_hit_share = 0;  // answered within their deadline
  // The same of the promised ones whose q_p was above kNear of the deadline.
  double near_deadline_share = 0;  // of the promised ones
  double near_deadline_hit_share = 0;
  double unpromised_share = 0;
  double unpromised_hit_share = 0;
  double quality = 0;
  double promised_quality = 0;  // of the promised ones, late or not
  double wait_s_mean = 0;  // before its prompt was read
};

constexpr size_t kExpertRequests = 200;
constexpr double kNear = 0.7;

// Requests that arrived before `from_s` are not counted: prices and margins are still being found.
PromiseReport MakePromiseReport(const TokenStepResult& result, const OutcomeMatrix& outcomes,
                                double from_s);

}  // namespace penstock::router
