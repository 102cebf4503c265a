#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// What routers that share a store count together of one budget. Requests are reserved when they
// come; of a hard budget of joules, dollars or accelerator seconds what a dispatch is expected to
// take; a soft one counts what is settled. Thread-safe.
//
// An amount by the second is a rate, kept by the price's credit; its windows are ten minutes long,
// and an amount is drawn on the window before as long as that has some left: over any time T, all
// routers together take at most amount * (T + 20 minutes), whatever their credits say. Of requests
// by the second the windows are seconds.
class WindowBudget {
 public:
  WindowBudget(const Clock& clock, WindowLedger& ledger, std::string key,
               const config::v1::Budget& budget);

  // Where an amount is reserved.
  struct Part {
    BudgetWindow window;
    int64_t amount = 0;
  };
  using Hold = absl::InlinedVector<Part, 2>;

  bool hard() const { return hard_; }
  bool counts_requests() const { return resource_ == config::v1::Budget::REQUESTS; }
  // By the second, and not of requests.
  bool is_rate() const;
  config::v1::Budget::Resource resource() const { return resource_; }

  // A request comes: reserves it, if this is a budget of requests; a soft one even where it does
  // not cover it. Else whether there is anything left.
  WindowAnswer Take(Hold& hold);
  // Of a hard budget of something else.
  WindowAnswer Reserve(double amount, Hold& hold);
  // Of a hold: all but its first parts.
  void GiveBack(Hold& hold, size_t but = 0);
  // What it took in the end; requests: the one.
  void Settle(Hold& hold, double spent);

  // Whether a request would be refused, or, of a soft budget, get only the cheapest.
  WindowAnswer Ask() const;
  // The most that Reserve may be hoped to cover, units.
  double Left() const;

  double spent() const;
  double remaining() const;
  // The same at `now`, by what `ledger` has counted.
  double RemainingAt(absl::Time now, const WindowLedger& ledger) const;
  absl::Duration window_left() const;

  // Watts that are not to be had, of joules by the second.
  void SetIdleWatts(double watts);

 private:
  BudgetWindow Window() const { return BudgetWindow::At(clock_.Now(), length_); }
  int64_t Units(double amount) const;
  double Amount(int64_t units) const;
  int64_t cap() const;

  const Clock& clock_;
  WindowLedger& ledger_;
  const std::string key_;
  const config::v1::Budget::Resource resource_;
  const bool by_second_;
  const absl::Duration length_;
  const double amount_;
  const bool hard_;
  mutable Mutex mutex_;
  double idle_watts_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
