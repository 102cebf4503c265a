#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "router_service/pacing/leasing/lease_demand.h"
#include "router_service/pacing/leasing/leased_window.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// One budget's windows at one router: what a request gets of them, and how much to lease. Knows no
// store. Not thread-safe.
class LeasedBudget {
 public:
  // As MemoryWindowLedger's.
  static constexpr size_t kMostWindows = 64;
  // Before the next call of a window, where one came to nothing.
  static constexpr absl::Duration kShortPause = absl::Milliseconds(50);

  struct Window {
    Window(BudgetWindow at_in, std::string owner) : at(at_in), totals(std::move(owner)) {}

    const BudgetWindow at;
    LeasedWindow totals;
    int64_t wanted = 0;  // the most that was asked for and not covered since the last lease
    std::optional<absl::Time> call;  // under way since
    absl::Time read = absl::InfinitePast();   // last
    absl::Time retry = absl::InfinitePast();  // no lease before, if the last one came to nothing
  };

  explicit LeasedBudget(std::string owner) : owner_(std::move(owner)) {}

  void Keep(absl::Duration length, int64_t cap, int earlier);
  void Forget() { kept_ = false; }
  bool kept() const { return kept_; }
  // Forgotten, and nothing is lost with it: what it spent of windows that may be spent from again
  // is known here even if the store forgets it.
  bool gone() const;
  int64_t cap() const { return cap_; }
  int earlier() const { return earlier_; }

  // Null: it is too old.
  Window* Open(const BudgetWindow& window);
  Window* Find(int64_t number);
  const Window* Find(int64_t number) const;
  std::map<int64_t, Window>& windows() { return windows_; }
  const std::map<int64_t, Window>& windows() const { return windows_; }
  // Opens what may be spent from by now, and the next one when its time comes near; drops what is
  // over and holds nothing.
  void Turn(absl::Time now);
  bool MayBeSpent(const Window& window, absl::Time now) const;

  // As WindowLedger. `grace`: unset: no end.
  WindowAnswer Reserve(Window& window, int64_t amount, int64_t cap, absl::Time now,
                       std::optional<absl::Duration> grace);
  int64_t Left(const Window& window, int64_t cap, absl::Time now,
               std::optional<absl::Duration> grace) const;

  // How often what others did is read.
  absl::Duration Period() const;
  absl::Duration TimeToLive(const Window& window, absl::Time now) const;
  struct Lease {
    int64_t want = 0;
    int64_t give_back = 0;
  };
  Lease Plan(const Window& window, absl::Time now) const;
  // Whether requests should not wait for the next period.
  bool RunsLow(const Window& window, absl::Time now) const;

  // The store answered; did not, to a call that began so; had no room for one, which is a loss only
  // if it goes on for longer than `patience`.
  void Answered(absl::Time now);
  void Lost(absl::Time since);
  void Refused(absl::Time since, absl::Time now, absl::Duration patience);
  // Calls that take too long: so has it.
  void Notice(absl::Time now, absl::Duration patience);
  const std::optional<absl::Time>& lost() const { return lost_; }
  absl::Time answered() const { return answered_; }

  int64_t unsure() const { return unsure_; }
  double rate(absl::Time now) const { return lost_ ? rate_at_loss_ : demand_.Rate(now); }

 private:
  // What the rate of before comes to since the store was lost; what of it may be saved up; what
  // there is of it, beyond leases.
  int64_t Allowed(absl::Time now) const;
  int64_t Depth() const;
  int64_t Allowance(absl::Time now, std::optional<absl::Duration> grace) const;
  int64_t CapLeft(const Window& window, int64_t cap) const;
  int64_t Need(const Window& window, int64_t left, absl::Time now) const;
  int64_t Routers() const;

  const std::string owner_;
  bool kept_ = false;
  absl::Duration length_;
  int64_t cap_ = 0;
  int earlier_ = 0;
  std::map<int64_t, Window> windows_;  // by number
  LeaseDemand demand_;
  std::optional<absl::Time> lost_;
  double rate_at_loss_ = 0;
  int64_t unsure_since_ = 0;  // the loss: what was taken, and what could not be saved up
  int64_t unsure_ = 0;
  std::optional<absl::Time> refused_;  // since
  absl::Time answered_ = absl::InfinitePast();
};

}  // namespace penstock::router
