#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/mutex.h"

namespace penstock::router {

// What load takes off the worth of a pool's experts, so that choices by worth do not push any of
// them above a utilisation: the congestion game's price at the least gamma that keeps to it. q is
// each expert's mean worth and the unit is the noise of choice, both over requests of late (worth
// less the request's mean over experts; a memory of 512): the deviation round those means is taken
// for Gumbel's, pi / sqrt(6) of its scale. Thread-safe: fits run beside the decisions of others,
// one at a time, and are left out where the one before is not done.
class CongestionPrice {
 public:
  // Decisions from one fit of gamma to the next.
  static constexpr uint64_t kRefit = 32;
  // Likewise of gamma_eff.
  static constexpr uint64_t kFitEffective = 1024;

  struct Figures {
    double gamma = 0;            // in units of the noise of choice
    double gamma_effective = 0;  // that explains the load's shares best; 0 before the first fit
    double noise = 0;            // quality units
  };

  CongestionPrice(size_t experts, double max_utilisation);

  // By expert, in quality units, of the load at this moment: gamma * noise * (share of the load) /
  // (share of the slots) / experts. `slots` of 0: it cannot run, and has no price.
  void Price(absl::Span<const double> in_flight, absl::Span<const double> slots,
             absl::Span<double> price) const;

  // A decision: what each expert was worth without the price of its load (not finite: it could not
  // run), under which load.
  void Record(absl::Span<const double> worth, absl::Span<const double> in_flight,
              absl::Span<const double> slots);

  Figures figures() const;

 private:
  struct Worth {
    double mean = 0;
    double variance = 0;
    uint64_t seen = 0;
  };

  // What a fit reads.
  struct Seen {
    std::vector<Worth> worth;   // by expert
    std::vector<double> load;   // by expert, mean share of late
    std::vector<double> slots;  // by expert, as last seen
    double utilisation = 0;     // the pool's, mean of late
    bool effective = false;     // gamma_eff is due too
  };

  void Count(absl::Span<const double> worth, double mean, absl::Span<const double> in_flight,
             absl::Span<const double> slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // false: fewer than two experts are known, and figures are as they were.
  bool Fit(const Seen& seen, Figures& figures) const;

  const double max_utilisation_;
  // gamma * noise.
  std::atomic<double> scale_{0};
  mutable Mutex mutex_;
  Seen seen_ ABSL_GUARDED_BY(mutex_);
  uint64_t recorded_ ABSL_GUARDED_BY(mutex_) = 0;
  bool fitting_ ABSL_GUARDED_BY(mutex_) = false;
  Figures figures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
