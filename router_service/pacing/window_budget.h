#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// The fixed windows of a budget's period, aligned to the epoch: every router agrees on them.
struct BudgetWindow {
  absl::Time start;
  absl::Duration length;

  static BudgetWindow At(absl::Time now, absl::Duration length);
  absl::Time end() const { return start + length; }
};

// Totals by key and window. Must not block: a shared store is mirrored behind it.
class WindowLedger {
 public:
  virtual ~WindowLedger() = default;
  // Adds `amount` (may be negative: given back) and returns the window's total after it.
  virtual double Add(const std::string& key, const BudgetWindow& window, double amount) = 0;
  // Adds only if the total stays within `limit`.
  virtual bool TryAdd(const std::string& key, const BudgetWindow& window, double amount,
                      double limit) = 0;
  virtual double Total(const std::string& key, const BudgetWindow& window) const = 0;
};

// Of one process. Thread-safe.
class MemoryWindowLedger final : public WindowLedger {
 public:
  double Add(const std::string& key, const BudgetWindow& window, double amount) override;
  bool TryAdd(const std::string& key, const BudgetWindow& window, double amount,
              double limit) override;
  double Total(const std::string& key, const BudgetWindow& window) const override;

 private:
  struct Cell {
    absl::Time start;
    double total = 0;
  };
  // The cell of the window: a later window replaces it; null for one that is over.
  Cell* Open(const std::string& key, const BudgetWindow& window)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Cell> cells_ ABSL_GUARDED_BY(mutex_);
};

// A budget in requests, accelerator seconds or dollars, counted in windows. Requests are counted
// when they arrive and given back if they never ran; the others when they are settled, so that
// requests in flight at a window's end may exceed them by what they take. Thread-safe.
class WindowBudget {
 public:
  WindowBudget(const Clock& clock, WindowLedger& ledger, std::string key,
               const config::v1::Budget& budget);

  // What one request counted where.
  struct Hold {
    BudgetWindow window;
    double amount = 0;
  };

  bool hard() const { return hard_; }
  bool counts_requests() const { return resource_ == config::v1::Budget::REQUESTS; }
  config::v1::Budget::Resource resource() const { return resource_; }

  // Whether one more request may run; counts it if this is a budget of requests. False: spent. A
  // soft budget counts it even then.
  bool Take(Hold& hold);
  void GiveBack(const Hold& hold);
  void Spend(double amount);
  bool spent_up() const;

  double spent() const;
  double remaining() const;
  absl::Duration window_left() const;

 private:
  BudgetWindow Window() const;

  const Clock& clock_;
  WindowLedger& ledger_;
  const std::string key_;
  const config::v1::Budget::Resource resource_;
  const absl::Duration length_;
  const double amount_;
  const bool hard_;
};

}  // namespace penstock::router
