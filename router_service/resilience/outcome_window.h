#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace penstock::router {

struct OutcomeTotals {
  uint64_t successes = 0;
  uint64_t failures = 0;
  uint64_t late = 0;
  double log_latency_sum = 0;  // of the successes, natural logarithms of seconds

  uint64_t count() const { return successes + failures + late; }
  // Of all that say something; 1 and 0 where nothing does.
  double success_rate() const;
  double failure_rate() const;
  // Geometric mean: one answer that stalls does not move it far. 0: no success.
  double latency_s() const;
};

// What a replica's attempts said of it within a sliding window, kept in ten steps: what is older
// than the window is forgotten a step at a time. Time does not go back.
class OutcomeWindow {
 public:
  explicit OutcomeWindow(absl::Duration window) : step_(window / kSteps) {}

  void AddSuccess(absl::Duration latency, absl::Time now);
  void AddFailure(absl::Time now);
  void AddLate(absl::Time now);
  void Clear();
  OutcomeTotals Totals(absl::Time now) const;

 private:
  static constexpr int kSteps = 10;
  struct Step {
    int64_t number = -1;  // since the epoch
    OutcomeTotals totals;
  };
  int64_t NumberOf(absl::Time time) const;
  OutcomeTotals& At(absl::Time now);

  absl::Duration step_;
  std::array<Step, kSteps> steps_;
};

}  // namespace penstock::router
