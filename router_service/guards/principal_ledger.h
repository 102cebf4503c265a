#pragma once

#include <cstddef>
#include <limits>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace penstock::router {

// What bounds the joules that one principal can make a shared budget spend, however its prompts
// look to the router (text that pushes any request to the dearest model: Shafran et al., Rerouting
// LLM Routers, arXiv:2501.01818). One price keeps the sum and not the parts, so each principal p
// has its own credit, in requests' worth of rho, the joules that a request may take on the mean:
//   credit_p = min(75, credit_p + 1.1 - a / rho)   per settled request of a joules, from 0
//   debt_p   = max(0, -credit_p - 25)
//   price_p  = price * min(4, exp(debt_p / 8)) * exp(max(0, debt_p - 100) / 20)
// and where the second factor is 4 (a debt of 11), nothing dearer than the cheapest answer may take
// more than .75 rho: a price alone does not say how much it leaves, and one that surely leaves
// little leaves the worst experts to an honest principal, for as long as one very long answer is
// paid off. The third factor is for what no headroom takes out (mandatory experts).
// The 25 are for chance: joules of answers are heavy-tailed, and a sum of n of them lies about
// sqrt(n) off, which no allowance in proportion to n covers while n is small.
// What is in flight counts as what it holds, so that many at once are no way around it. One that
// takes no more than 1.1 n + 25 in any n successive requests never pays more than the others do.
// The only principal there is pays the price alone: it is the budget.
//
// One answer may take a hundred requests' worth, and a price learns of it once it is there. Where
// it is known beforehand what an answer takes at most (an expert's cap on tokens), that counts:
//   owed_p    = -credit_p + sum over requests in flight of max(0, held / rho - 1.1)
//   largest_p = rho * (1.1 + max(0, 75 - owed_p))   joules that the answer to a request may take,
//               if owed_p > 25 or ever -credit_p > 25; before that, what it likes
// An expert that may answer with more than largest_p is not asked, but for the cheapest. So in n
// requests from its first a principal takes at most
//   1.1 n + max(75, 25 + D) + B + C   requests' worth,
// D being the largest answer there is. B is what answers took beyond what they held that were under
// way when the last dear one was asked for: 0 for whoever asks one thing at a time. (To count them
// as the most that they may take would leave nothing to B, and no dear answer to honest principals
// with ten requests under way.) C is what those answers took beyond 1.1 that no largest_p keeps
// away: of experts of which nothing is known, of the cheapest, and of those that are asked whatever
// it says. Price and headroom alone end at about 1.1 n + 36, and all dear answers beyond are C.
//
// At most `capacity` principals are known. The one that was active longest ago makes room for a
// new one, but only if it has nothing in flight and owes nothing: it comes back with 0, which is no
// more than it left with. Where all owe or have something in flight, those without a place share
// one account, and the first of them that gets a place takes over what that account owes.
// Thread-safe, O(1) a request, deterministic in the order of its calls.
class PrincipalLedger {
 public:
  static constexpr double kAllowance = 1.1;
  static constexpr double kDepth = 75;
  static constexpr double kSlack = 25;
  static constexpr double kWidth = 8;
  static constexpr double kNearMultiplier = 4;
  // Of rho. Below the allowance, so that debts are paid.
  static constexpr double kFitting = 0.75;
  // What even the dearest answer may leave a principal owing that was ever beyond kSlack.
  static constexpr double kMostOwed = 75;
  // From this debt on the price rises again.
  static constexpr double kFarDebt = 100;
  static constexpr double kFarWidth = 20;
  static constexpr size_t kCapacity = 4096;

  // `capacity` below 2 is taken for 2.
  explicit PrincipalLedger(size_t capacity = kCapacity);

 private:
  struct Account;

 public:
  // What a principal is told when a request of it arrives.
  struct Terms {
    double multiplier = 1;  // what it pays over the others, in [1, e^30]
    // What anything dearer than the cheapest answer may take.
    double headroom_j = std::numeric_limits<double>::infinity();
    // What the dearest answer may take at most, but for the cheapest expert's.
    double largest_j = std::numeric_limits<double>::infinity();
  };

  // One request on the account of its principal: opened, held for, then settled or forgotten, once.
  class Charge {
   public:
    double multiplier() const { return terms_.multiplier; }
    double headroom_j() const { return terms_.headroom_j; }

   private:
    friend class PrincipalLedger;
    Account* account_ = nullptr;  // null: none, or closed
    double rho_j_ = 0;
    double held_j_ = 0;
    double pending_ = 0;  // of the account's
    Terms terms_;         // when it came
  };

  // A request arrives. `rho_j` not above 0 (a budget that has nothing to give): it is not counted.
  Charge Open(absl::string_view principal, double rho_j);
  // Joules more are held for it. They may come and go (negative).
  void Hold(Charge& charge, double energy_j);
  // The same for an answer that takes `largest_j` at most (0: nobody knows), unless that is more
  // than LargestOf says: then false, and nothing is held.
  bool TryHold(Charge& charge, double energy_j, double largest_j);
  // What it took; not finite: what it held.
  void Settle(Charge& charge, double energy_j);
  // It never ran.
  void Forget(Charge& charge);

  // What one answer more to this request may take at most, by all that is in flight at this moment.
  double LargestOf(const Charge& charge) const;
  // What a request of this principal would be told that arrived at this moment.
  Terms TermsOf(absl::string_view principal, double rho_j) const;
  // In requests' worth; 0 for one that is not known.
  double Credit(absl::string_view principal) const;
  size_t principals() const;

 private:
  using Accounts = std::list<Account>;
  struct Account {
    std::string principal;
    double credit = 0;
    double pending = 0;  // of requests in flight: held / rho less their allowance
    double beyond = 0;   // of those that hold more than their allowance alone
    bool passed = false;  // it once owed more than kSlack
    size_t in_flight = 0;
    bool evictable = false;
    Accounts::iterator at;  // itself; not of the shared account
  };

  Account& AccountOf(absl::string_view principal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Terms TermsOf(const Account& account, double rho_j) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `first`: nothing is held for the request yet, so that its allowance is to be had.
  double LargestOf(const Account& account, double rho_j, bool first) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HoldLocked(Charge& charge, double energy_j) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Charge& charge) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Into the list where it belongs, as the most recent.
  void Place(Account& account) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;
  mutable Mutex mutex_;
  Accounts kept_ ABSL_GUARDED_BY(mutex_);
  Accounts evictable_ ABSL_GUARDED_BY(mutex_);  // by last activity, the longest ago first
  absl::flat_hash_map<std::string, Account*> by_name_ ABSL_GUARDED_BY(mutex_);
  Account shared_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
