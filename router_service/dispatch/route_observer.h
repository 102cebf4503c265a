#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/energy_tally.h"
#include "router_service/pacing/resource.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {

// What one attempt at an expert was expected to take when it was sent, and took.
struct RunFigures {
  bool answered = false;          // OK
  double expected_latency_s = 0;  // on the mean; 0: not known
  double promised_latency_s = 0;  // at the promised quantile
  double latency_s = 0;
  double predicted_j = 0;           // 0: not known
  std::optional<double> reported_j;  // unset: the expert said nothing of joules
  EnergyMethod method = EnergyMethod::kUnknown;
};

// What became of one request.
struct RouteEvent {
  absl::string_view pool;  // empty: it names none of ours
  absl::StatusCode code = absl::StatusCode::kOk;
  absl::Duration latency;
  absl::Duration cpu;                      // of the routing itself
  const v1::Decision* decision = nullptr;  // null: refused before one was made
  Amounts taken;                // by all attempts
  uint64_t hedges_refused = 0;  // second attempts that there had been enough of
  Refusal refusal = Refusal::kNone;  // why there is no answer
  // The request's own, its class's or its call's, from its arrival. Infinite: none, or it was not
  // read.
  absl::Duration latency_budget = absl::InfiniteDuration();
  absl::Span<const RunFigures> runs;  // of the decision's runs, in their order
  // Predicted quality that budgets and prices cost (QualityForgone); unset: it had no such choice.
  std::optional<double> quality_forgone;
};

// Where counts go. Thread-safe.
class RouteObserver {
 public:
  virtual ~RouteObserver() = default;
  virtual void RequestFinished(const RouteEvent& event) = 0;
};

}  // namespace penstock::router
