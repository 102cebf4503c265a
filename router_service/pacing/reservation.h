#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router_service/guards/principal_ledger.h"
#include "router_service/pacing/pacer_order.h"
#include "router_service/pacing/price_level.h"
#include "router_service/pacing/priced_budget.h"
#include "router_service/pacing/resource.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// What a request took in the end: all attempts, losers and retries too.
using Usage = Amounts;

// The budgets that bind one (pool, tenant). Immutable.
struct BudgetSet {
  std::vector<std::shared_ptr<PricedBudget>> priced;
  // By priced budget: what bounds each principal's part of it; null where it is not bounded. Empty:
  // of none.
  std::vector<std::shared_ptr<PrincipalLedger>> ledgers;
  std::vector<std::shared_ptr<WindowBudget>> windows;
  std::vector<std::string> priced_names;  // for messages
  std::vector<std::string> window_names;
};

// What a request's budgets ask and leave at one moment.
struct BudgetTerms {
  // Sum of the prices of all joule budgets that apply, in quality units per joule, each times what
  // the budget's ledger makes of it for this principal.
  double price_per_joule = 0;
  // That over what a principal within its part of the budgets would pay, at least 1.
  double price_multiplier = 1;
  // Joules beyond what is held that the budgets cover, and no more than their ledgers let this
  // principal have. Something dearer than the cheapest answer must not take more. May be 0 (the
  // cheapest then answers, `budget`); infinite without budgets.
  double headroom_j = std::numeric_limits<double>::infinity();
  // What the answers to it that nothing is held for yet may take at most, by the ledgers. An expert
  // whose dearest answer may take more is not asked, unless it is the cheapest.
  double largest_j = std::numeric_limits<double>::infinity();
  // The same of the other resources; one without a budget has no price and no end.
  OtherTerms others;
  // Of the journal's event that tells of them; 0 without a journal.
  uint64_t sequence = 0;
};

// A price level that a decision made due, to be solved for while nobody waits: it takes some tenths
// of a millisecond.
class DueLevel {
 public:
  DueLevel(std::shared_ptr<PricedBudget> budget, std::shared_ptr<PacerOrder> order,
           uint64_t options, uint32_t which)
      : budget_(std::move(budget)), order_(std::move(order)), options_(options), which_(which) {}
  // Solves, and has it adopted. The budget's price at that moment. Once.
  double Find();

 private:
  std::shared_ptr<PricedBudget> budget_;
  std::shared_ptr<PacerOrder> order_;
  uint64_t options_;
  uint32_t which_;
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

  BudgetTerms terms() const;
  double price_per_joule() const { return terms().price_per_joule; }
  double price_multiplier() const { return terms().price_multiplier; }
  double headroom_j() const { return terms().headroom_j; }
  double held_j() const { return held_.energy_j; }
  const Amounts& held() const { return held_; }

  // For the cheapest answer: held whatever the headroom. False, and nothing held, only where the
  // window of a hard budget does not cover it: the request must not run, as `refusal` says.
  bool Hold(const Amounts& amounts);
  bool Hold(double energy_j) { return Hold(Amounts{energy_j, 0, 0}); }
  const absl::Status& refusal() const { return refusal_; }
  // Something is held, or was, that other routers may have spent too: the store that routers share
  // does not answer.
  bool unsure() const { return unsure_; }
  // For anything dearer: false, and nothing held, where some budget does not cover it, or its
  // ledger not `largest_j`, what the answers that it is held for may take at most; 0: not known.
  bool TryHold(const Amounts& amounts, double largest_j = 0);
  bool TryHold(double energy_j, double largest_j = 0) {
    return TryHold(Amounts{energy_j, 0, 0}, largest_j);
  }
  // Streamed or metered joules so far: where they exceed what is held, half the first hold is added
  // until they do not.
  void Metered(double energy_j);

  // What could have been done, at which worth and amounts, so that prices find their level. Once
  // per request and decision, whatever was chosen. A cascade: after the first answer, with `sunk` =
  // what that answer took and the options stay = {value * p_stay, 0}, target j = {value * p_j,
  // joules_j}; where no question of escalation arises, options is {{0, 0}}. A later escalation's
  // decision is a follow_up (nothing sunk). A ROW request passes RowTrimResult::curve.
  void RecordDecision(const Amounts& sunk, absl::Span<const PricedOption> options, size_t k = 1,
                      bool follow_up = false);
  void RecordDecision(double sunk_j, absl::Span<const PricedOption> options, size_t k = 1,
                      bool follow_up = false) {
    RecordDecision(Amounts{sunk_j, 0, 0}, options, k, follow_up);
  }

  // The same, but for the levels that it makes due: each is for the caller to find.
  std::vector<DueLevel> NoteOptions(const Amounts& sunk, absl::Span<const PricedOption> options,
                                    size_t k = 1, bool follow_up = false);

  // What it took; prediction where nothing was metered. The first call counts. RecordDecision may
  // come after it.
  void Settle(const Usage& usage);

 private:
  friend class BudgetPacer;
  void Release();
  void HoldNow(const Amounts& amounts);
  // In the windows of hard budgets; all of them or none. A refusal is noted.
  bool ReserveWindows(const Amounts& amounts);
  bool TryHoldNow(const Amounts& amounts, double largest_j);
  bool TryHoldCharges(double energy_j, double largest_j);
  void NoteHold(const Amounts& amounts, v1::JouleHold::Kind kind, bool refused, double largest_j,
                PacerOperation& operation) const;
  void HoldCharges(double energy_j);
  void CountHold(const Amounts& amounts);
  // Some budget of the request prices it.
  bool Prices(Resource resource) const;
  double PriceOf(Resource resource) const;
  double HeadroomOf(Resource resource) const;
  double LargestAnswer() const;
  // Of the price of the priced budget number `i`.
  double Multiplier(size_t i) const { return charges_.empty() ? 1 : charges_[i].multiplier(); }

  std::shared_ptr<PacerOrder> order_;         // null: no journal
  uint64_t request_ = 0;                      // sequence of the journal's event of its opening
  std::shared_ptr<const BudgetSet> budgets_;  // null: none, or settled
  std::shared_ptr<const BudgetSet> settled_;
  std::vector<WindowBudget::Hold> windows_;
  std::vector<PrincipalLedger::Charge> charges_;  // by ledger of the set
  Amounts held_;
  double first_hold_j_ = 0;
  double metered_j_ = 0;  // of the joules held, what metering added
  bool soft_window_spent_ = false;
  bool unsure_ = false;
  absl::Status refusal_;
};

}  // namespace penstock::router
