#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/time/clock.h"
#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pacing/memory_window_ledger.h"

namespace penstock::router {

// A pool as a router holds it after it has learnt its experts, and requests that were read and
// found right: what there is when a decision begins. Experts' joules span two decades; quality and
// gate are linear in the features with random weights. Three joule budgets bind: the pool's, soft
// and tight enough to have a price; the tenant's and the platform's, hard and wide.
class DecisionCase {
 public:
  static constexpr size_t kFeatures = 384;
  static constexpr size_t kRequests = 256;

  static absl::StatusOr<std::unique_ptr<DecisionCase>> Create(size_t experts, size_t k,
                                                              const Clock& clock);

  const Clock& clock() const { return clock_; }
  BudgetPacer& pacer() { return pacer_; }
  const RouteRequest& request(size_t i) const { return requests_[i % kRequests]; }
  // The same requests with every expert's estimates already made.
  const ScoredExperts& scored(size_t i) const { return scored_[i % kRequests]; }
  const Pool& pool() const { return *pool_; }
  size_t k() const { return k_; }
  // What the pool's files hold, [experts, features] and [experts].
  const std::vector<float>& quality_weight() const { return quality_weight_; }
  const std::vector<float>& quality_bias() const { return quality_bias_; }

 private:
  DecisionCase(size_t k, const Clock& clock)
      : k_(k), clock_(clock), pacer_(clock, windows_, BudgetPacer::Options()) {}

  absl::Status MakePool(size_t experts);
  void MakeRequests();
  absl::Status SetBudgets();

  const size_t k_;
  const Clock& clock_;
  MemoryWindowLedger windows_;
  BudgetPacer pacer_;
  std::shared_ptr<const Pool> pool_;
  std::vector<std::unique_ptr<InferTarget>> targets_;
  std::vector<RouteRequest> requests_;
  std::vector<ScoredExperts> scored_;
  std::vector<float> quality_weight_;
  std::vector<float> quality_bias_;
};

}  // namespace penstock::router
