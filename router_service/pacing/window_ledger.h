#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/time/time.h"

namespace penstock::router {

// A window of a budget, aligned to the epoch: every router agrees on them.
struct BudgetWindow {
  absl::Time start;
  absl::Duration length;

  static BudgetWindow At(absl::Time now, absl::Duration length) {
    return {absl::UnixEpoch() + absl::Floor(now - absl::UnixEpoch(), length), length};
  }
  absl::Time end() const { return start + length; }
  BudgetWindow Before() const { return {start - length, length}; }
  int64_t number() const { return (start - absl::UnixEpoch()) / length; }
};

// Whether a window covers an amount. The numbers stand in decision logs.
enum class WindowAnswer : int64_t {
  kSpent = 0,
  kCovered = 1,
  // At the rate of before the store was lost: other routers may have spent it too.
  kUnsure = 2,
  // There is more, but other routers hold it.
  kElsewhere = 3,
  // The store does not answer, and that rate is used up, or no longer allowed.
  kStoreDown = 4,
  // There is more, and no router holds it: this one's part is on its way.
  kNotLeased = 5,
};

constexpr bool Covers(WindowAnswer answer) {
  return answer == WindowAnswer::kCovered || answer == WindowAnswer::kUnsure;
}

// Of what is not negative. A meter that is broken must not turn much into little.
constexpr int64_t SaturatedSum(int64_t a, int64_t b) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return a > kMost - b ? kMost : a + b;
}

// What budgets hold and spend in their windows, in whole units of the budget's own (millionths of a
// joule, a dollar, an accelerator second; requests). What is reserved is settled once. Thread-safe.
// Nothing here blocks: what routers share is mirrored behind it.
class WindowLedger {
 public:
  // Of a budget that counts and refuses nothing.
  static constexpr int64_t kNoCap = std::numeric_limits<int64_t>::max();

  struct Counts {
    int64_t settled = 0;   // by all routers, as far as is known
    int64_t reserved = 0;  // by this one

    int64_t Sum() const { return SaturatedSum(settled, reserved); }
  };

  virtual ~WindowLedger() = default;

  // A budget that will be asked about, or its cap changed, so that its part of a window is there
  // before the first request. `earlier`: windows before the open one that may be drawn on too.
  virtual void Keep(const std::string& key, absl::Duration length, int64_t cap, int earlier) = 0;
  // It will not be asked about any more, and binds nobody; what is reserved may still be settled.
  // Kept again while a window may be spent from, it has what was spent of that window.
  virtual void Forget(const std::string& key) = 0;

  // Reserves `amount`, or nothing. 0: whether there is anything left.
  virtual WindowAnswer Reserve(const std::string& key, const BudgetWindow& window, int64_t amount,
                               int64_t cap) = 0;
  // Of what was reserved, or of nothing (0): what it took, however much. 0 gives it back.
  virtual void Settle(const std::string& key, const BudgetWindow& window, int64_t reserved,
                      int64_t spent) = 0;
  // The most that Reserve may be hoped to cover.
  virtual int64_t Left(const std::string& key, const BudgetWindow& window, int64_t cap) const = 0;
  virtual Counts Count(const std::string& key, const BudgetWindow& window) const = 0;
};

}  // namespace penstock::router
