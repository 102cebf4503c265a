#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/guards/principal_ledger.h"
#include "router_service/pacing/joule_budget.h"
#include "router_service/pacing/price_level.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// What a request took in the end: all attempts, losers and retries too.
struct Usage {
  double energy_j = 0;
  double accelerator_seconds = 0;
  double dollars = 0;
};

// The budgets that bind one (pool, tenant). Immutable.
struct BudgetSet {
  std::vector<std::shared_ptr<JouleBudget>> joules;
  // By joule budget: what bounds each principal's part of it; null where it is not bounded. Empty: of
  // none.
  std::vector<std::shared_ptr<PrincipalLedger>> ledgers;
  std::vector<std::shared_ptr<WindowBudget>> windows;
  std::vector<std::string> joule_names;  // for messages
  std::vector<std::string> window_names;
};

// A request's standing with its budgets: what it holds is settled or given back, once, whatever
// happens to the request. Move-only. Its methods are called by one thread at a time.
class Reservation {
 public:
  Reservation() = default;  // no budget applies
  Reservation(Reservation&& other) noexcept = default;
  Reservation& operator=(Reservation&& other) noexcept;
  // Unsettled: everything is given back, and the request counts as never made.
  ~Reservation();

  // Sum of the prices of all joule budgets that apply, at this moment, in quality units per joule,
  // each times what the budget's ledger makes of it for this principal.
  double price_per_joule() const;
  // That over what a principal within its part of the budgets would pay, at least 1.
  double price_multiplier() const;
  // Joules beyond what is held that the budgets cover. Something dearer than the cheapest answer
  // must not take more. May be 0 (the cheapest then answers, `budget`); infinite without budgets.
  double headroom_j() const;
  // A soft budget is spent: only the cheapest expert may answer, degraded.
  bool cheapest_only() const;
  double held_j() const { return held_j_; }

  // For the cheapest answer: held whatever the headroom.
  void Hold(double energy_j);
  // For anything dearer: false, and nothing held, where some budget does not cover it.
  bool TryHold(double energy_j);
  // Streamed or metered joules so far: where they exceed what is held, half the first hold is added
  // until they do not.
  void Metered(double energy_j);

  // What could have been done, at which worth and joules, so that prices find their level. Once per
  // request and decision, whatever was chosen. A cascade: after the first answer, with `sunk_j` =
  // the joules of that answer and the options stay = {value * p_stay, 0}, target j = {value * p_j,
  // joules_j}; where no question of escalation arises, options is {{0, 0}}. A later escalation's
  // decision is a follow_up (sunk_j 0). A ROW request passes RowTrimResult::curve.
  void RecordDecision(double sunk_j, absl::Span<const PricedOption> options, size_t k = 1,
                      bool follow_up = false);

  // What it took; prediction where nothing was metered. The first call counts. RecordDecision may
  // come after it.
  void Settle(const Usage& usage);

 private:
  friend class BudgetPacer;
  void Release();
  // Of the price of the joule budget number `i`.
  double Multiplier(size_t i) const { return charges_.empty() ? 1 : charges_[i].multiplier(); }
  void HoldCharges(double energy_j);

  std::shared_ptr<const BudgetSet> budgets_;  // null: none, or settled
  std::shared_ptr<const BudgetSet> settled_;
  std::vector<WindowBudget::Hold> windows_;
  std::vector<PrincipalLedger::Charge> charges_;  // by ledger of the set
  double held_j_ = 0;
  double first_hold_j_ = 0;
  double metered_j_ = 0;  // of held_j_, what metering added
  bool soft_window_spent_ = false;
};

}  // namespace penstock::router
