#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "expert_service/metering/counter_tracker.h"
#include "expert_service/metering/energy_counter.h"

namespace penstock::expert {

// One request's part of a launch.
struct EnergyShare {
  // Work that is nobody's request (warm-up): its joules stay unattributed.
  static constexpr uint64_t kNobody = std::numeric_limits<uint64_t>::max();

  uint64_t owner = kNobody;  // whom the books name: a model, a tenant
  double modelled_joules = 0;
};

// The joules of one device, by window: of the energy E that a window's counter shows,
//   idle   = min(E, P_idle * dt), P_idle configured or else the least power seen; all of E where
//            nothing was launched,
//   active = E - idle, split among launches by their core seconds within the window and within a
//            launch by modelled joules. A launch's core seconds are its time and what other
//            threads spend to help it.
// A request is told its joules before its window closes: modelled times the counter/model ratio of
// the last window that had work and whose launches have ended. The difference is booked as a
// correction at the close, so that for closed windows reported + corrections + unattributed + idle
// = meter.
//
// Without a counter, and while the counter is stalled, E is P_idle * dt plus the modelled joules.
// Thread-safe; Sample by one thread.
class EnergyMeter {
 public:
  struct Options {
    absl::Duration window = absl::Seconds(1);
    std::optional<double> idle_watts;  // unset: the least seen; 10 without a counter
  };
  struct Totals {
    double reported = 0;      // in trailers
    double corrections = 0;   // booked when windows closed
    double unattributed = 0;  // nobody's
    double idle = 0;
    double meter = 0;
    std::map<uint64_t, double> attributed;  // by owner; sums to reported + corrections
  };
  using LaunchId = uint64_t;

  // `counter` null: modelled.
  EnergyMeter(Options options, std::unique_ptr<EnergyCounter> counter, absl::Time now);

  // What other threads have spent so far on a launch.
  using Helped = std::function<absl::Duration()>;

  // `helped`, null where nobody helps, is asked until End returns.
  LaunchId Begin(std::vector<EnergyShare> shares, absl::Time now, Helped helped = nullptr);
  // What each share is told, in order. The work is charged whoever still waits for its answer.
  // `modelled_joules` of each share where the end knows better than the beginning what ran.
  std::vector<double> End(LaunchId launch, absl::Time now,
                          const std::vector<double>& modelled_joules = {});
  // Reads the counter, closes the window when it is over. Ten times a window or more often.
  void Sample(absl::Time now);

  Totals totals() const;
  // Of the last closed window.
  double watts() const;
  double idle_watts() const;
  double ratio() const;
  EnergyMethod method() const;
  std::string description() const;

 private:
  struct Launch {
    absl::Time accounted_until;
    Helped helped;
    absl::Duration helped_before;  // accounted_until
    std::vector<EnergyShare> shares;
    double modelled = 0;
    std::vector<std::pair<uint64_t, double>> ran;  // number of a window -> core seconds within it
  };
  struct Window {
    absl::Time start;
    uint64_t number = 0;
    double worked = 0;                             // modelled joules of ended launches, within it
    double counted = 0;                            // joules of the counter
    double reported = 0;                           // told to requests
    double modelled = 0;                           // of launches that ended
    std::map<uint64_t, double> busy;               // owner -> core seconds
    std::map<uint64_t, double> modelled_by_owner;  // of launches that ended
  };

  // A closed window that launches ran in which have not ended: what they were modelled to take in it
  // is not known yet, and so neither is its ratio.
  struct OpenRatio {
    double active = 0;
    double worked = 0;
    size_t running = 0;
  };

  double IdleWatts() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Account(Launch& launch, absl::Time until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The launch ended: its modelled joules go to its windows by time.
  void Spread(const Launch& launch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetRatio(uint64_t window, double active, double worked)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Book(const std::map<uint64_t, double>& joules_by_owner, double active)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const std::unique_ptr<EnergyCounter> counter_;
  std::vector<CounterTracker> trackers_;  // Sample's alone
  absl::Time last_read_;                  // Sample's alone

  mutable Mutex mutex_;
  LaunchId next_launch_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<LaunchId, Launch> running_ ABSL_GUARDED_BY(mutex_);
  Window window_ ABSL_GUARDED_BY(mutex_);
  Totals totals_ ABSL_GUARDED_BY(mutex_);
  std::optional<double> least_watts_ ABSL_GUARDED_BY(mutex_);
  double watts_ ABSL_GUARDED_BY(mutex_) = 0;
  double ratio_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t ratio_window_ ABSL_GUARDED_BY(mutex_) = 0;  // whose ratio it is
  std::map<uint64_t, OpenRatio> open_ratios_ ABSL_GUARDED_BY(mutex_);  // by number of a window
  bool degraded_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::expert
