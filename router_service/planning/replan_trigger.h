#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace penstock::router {

// What a plan was made for, or what holds at present.
struct PlanBasis {
  struct Expert {
    double energy_j = 0;
    double latency_s = 0;
  };
  std::map<std::string, Expert> experts;  // those that may be asked
  std::vector<double> budgets;            // every limit that the plan keeps, in one order
  uint64_t gate_version = 0;
};

enum class ReplanReason { kNone, kFirst, kExperts, kBudget, kGate, kDrift, kPeriod };
// "", "first plan", "experts changed", "budget changed", "gate changed", "costs drifted", "period
// over"
absl::string_view ReplanReasonName(ReplanReason reason);

// Says when a plan no longer stands on what it was made for. Not thread-safe.
class ReplanTrigger {
 public:
  struct Options {
    double drift = 0.10;  // of an expert's joules or seconds, relative to the plan's
    absl::Duration period = absl::Seconds(60);
  };
  ReplanTrigger(const Options& options, const Clock& clock) : options_(options), clock_(clock) {}

  ReplanReason Due(const PlanBasis& present) const;
  // A plan was made for `basis`, now.
  void Planned(PlanBasis basis);

 private:
  bool Drifted(double planned, double present) const;

  const Options options_;
  const Clock& clock_;
  std::optional<PlanBasis> planned_;
  absl::Time planned_at_;
};

}  // namespace penstock::router
