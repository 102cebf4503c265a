#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/pacing/leasing/leased_budget.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// Windows that routers share through a store. Requests spend from short leases, which are granted
// in the background: none ever waits for the store. Thread-safe.
//
// Every window is one budget of the store (docs/store.md): a router that comes back, a reply that
// was lost and a store that forgot heal, since each tells its own totals and what it has read of
// the others'. One call of a window is under way at a time. What a lease leaves at its window's end
// counts as spent there. Windows of a moment need their leases before they begin, so the next one
// is leased as well, shortly before.
//
// What all routers spend of a window goes over its cap by no more than: what dispatches took beyond
// what they reserved; per router, what it took of `rate` times the seconds that the store did not
// answer; and where the store was emptied, the leases that were out.
class SharedWindowLedger final : public WindowLedger,
                                 public std::enable_shared_from_this<SharedWindowLedger> {
 public:
  struct Options {
    std::string owner;  // no two routers have the same, nor one and its predecessor
    // Without an answer for so long, hard budgets refuse, if they ever do.
    absl::Duration grace = absl::Seconds(60);
    bool deny_after_grace = false;
  };
  // How often what is due is looked for, and how long a call may be under way before the store is
  // taken for lost.
  static constexpr absl::Duration kTick = absl::Milliseconds(50);
  static constexpr absl::Duration kPatience = absl::Milliseconds(150);
  static constexpr absl::Duration kCallTimeout = absl::Seconds(1);
  // Budgets that are called for at a time; the next ones are at the next tick.
  static constexpr size_t kMostBudgetsAtATime = 256;

  // All of these outlive Stop.
  SharedWindowLedger(Store& store, Timers& timers, const Clock& clock, Options options);

  void Start();
  // Gives back what is free, where a call is under way once it has ended, and waits for so long at
  // most that the store takes it. The timers are not used after this.
  void Stop(absl::Duration patience);
  // Every budget has heard from the store.
  bool ready() const;

  void Keep(const std::string& key, absl::Duration length, int64_t cap, int earlier) override;
  void Forget(const std::string& key) override;
  WindowAnswer Reserve(const std::string& key, const BudgetWindow& window, int64_t amount,
                       int64_t cap) override;
  void Settle(const std::string& key, const BudgetWindow& window, int64_t reserved,
              int64_t spent) override;
  int64_t Left(const std::string& key, const BudgetWindow& window, int64_t cap) const override;
  Counts Count(const std::string& key, const BudgetWindow& window) const override;

  // Of the open windows, units.
  struct Figures {
    std::string key;
    int64_t granted = 0, returned = 0, settled = 0, reserved = 0;
    int64_t others_taken = 0;
    int64_t unsure = 0;       // since the start: covered by the rate alone
    double rate = 0;          // units a second
    absl::Duration age;       // of what is known; infinite: nothing is
    bool lost = false;        // the store does not answer
  };
  std::vector<Figures> figures() const;

 private:
  struct Job {
    std::string key;
    int64_t number = 0;
    bool read = false;
  };

  struct Farewell;  // what Stop waits for

  void Tick();
  void Work();
  void WakeSoon();
  std::vector<Job> Due(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Begin(const Job& job);
  void Heard(const Job& job, absl::StatusOr<StoreFields> fields);
  // Null: nothing needs to be told or taken.
  std::optional<BudgetTake> NextTake(const Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Take(const Job& job, const BudgetTake& take);
  void Taken(const Job& job, const BudgetTake& take, absl::StatusOr<BudgetGrant> grant);
  void Failed(const Job& job, const absl::Status& why);
  // Null: nothing needs to be told.
  std::optional<BudgetTake> LastTake(const std::string& key, int64_t number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The window's call has ended. After Stop: gives back what is free.
  void Ended(const Job& job);
  absl::Time Deadline() const { return clock_.Now() + kCallTimeout; }
  // Unset: there is no end.
  std::optional<absl::Duration> Grace() const {
    return options_.deny_after_grace ? std::optional(options_.grace) : std::nullopt;
  }
  // Null: nobody keeps it, or it is too old.
  LeasedBudget::Window* Find(const std::string& key, int64_t number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Store& store_;
  Timers& timers_;
  const Clock& clock_;
  const Options options_;
  mutable Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Farewell> farewell_ ABSL_GUARDED_BY(mutex_);  // while Stop waits
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;
  std::string next_ ABSL_GUARDED_BY(mutex_);  // key that is looked at first
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable std::map<std::string, LeasedBudget> budgets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
