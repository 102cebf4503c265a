#pragma once

#include <cstddef>
#include <limits>
#include <optional>

#include "absl/types/span.h"
#include "router_service/pacing/resource.h"

namespace penstock::router {

// An expert that could be asked after the standing answer.
struct EscalationOption {
  size_t expert = 0;
  double p_right = 0;      // P(right) given the standing answer's own confidence
  double energy_j = 0;     // expected
  double latency_s = 0;    // at the promised quantile
  bool admissible = true;  // healthy, admitted, not asked yet
  // Expected; 0 where no budget of them binds.
  double accelerator_seconds = 0;
  double dollars = 0;
  double largest_j = 0;  // what its answer may take at most; 0: not known

  Amounts amounts() const { return {energy_j, accelerator_seconds, dollars}; }
};

struct EscalationLimits {
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  double value = 1;            // of one right answer
  double price_per_joule = 0;  // sum over the budgets that apply
  double time_left_s = kNone;
  double request_joules_left = kNone;  // of penstock_energy_budget_j
  double headroom_j = kNone;           // Reservation::headroom_j
  double largest_j = kNone;            // BudgetTerms::largest_j
  size_t escalations_done = 0;
  size_t max_escalations = 1;
  OtherTerms others;  // of resources beside joules
};

struct Escalation {
  std::optional<size_t> option;  // index into the options; unset: the answer stands
  // value * (p_big - p_stay) - price * joules, and other resources likewise; of the option taken
  double gain = 0;
  // The largest of the options that time and joules allow, taken or not.
  double best_gain = -std::numeric_limits<double>::infinity();
  // An option with a gain was passed over: for `penstock_degraded`. What the request's own cap
  // forbids was not asked for.
  bool stopped_by_budget = false;  // headroom, or the largest answer
  bool stopped_by_deadline = false;
};

// A p_stay that is not a number counts as 0: an answer that nobody can be sure of is not kept for
// it. Escalates iff value (p_big - p_stay) > price * joules (and other resources likewise) for some
// option that time and joules allow; the one with the largest gain, ties by fewest joules, then
// first. The joules are paid whether or not the dearer answer helps, so the gain is not divided by
// the chance that it does.
Escalation DecideEscalation(double p_stay, absl::Span<const EscalationOption> options,
                            const EscalationLimits& limits);

// Whether a slower estimate of both probabilities could turn the decision: |best gain| <= delta *
// value. Never at a delta of 0, nor where nothing is to be decided.
bool NearBoundary(const Escalation& decision, double value, double delta);

// Above which chance of being accepted an intervention is worth it whose cost falls due only where
// it was wrong: C_FA / (C_FA + C_FN p_need), from (1 - p) C_FA against p p_need C_FN. An
// escalation's joules are paid in any case: that is DecideEscalation.
double InterventionThreshold(double false_alarm_cost, double miss_cost, double p_need);

// Where a cascade's stages are asked at no price and the answer may not stand: whom of the stages
// after it, in order, to ask. The next one, if its own answer can still be followed by the
// last one's, else the last; the price of joules does not enter. An answer of the last stage is
// never the riskier one, so skipping to it keeps the risk.
Escalation DecideStage(absl::Span<const EscalationOption> later, const EscalationLimits& limits);

}  // namespace penstock::router
