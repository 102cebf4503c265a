#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/guards/principal_ledger.h"
#include "router_service/pacing/budget_standing.h"
#include "router_service/pacing/priced_budget.h"
#include "router_service/pacing/pacer_journal.h"
#include "router_service/pacing/pacer_order.h"
#include "router_service/pacing/pacing_options.h"
#include "router_service/pacing/platform_share.h"
#include "router_service/pacing/reservation.h"
#include "router_service/pacing/window_budget.h"
#include "router_service/pacing/window_key.h"

namespace penstock::router {

// What do a joule, a dollar and an accelerator second cost now, and may I spend? Budgets of pools,
// tenants and the platform; several can bind one request, and their prices add up. Thread-safe. The
// request path takes short locks only.
class BudgetPacer {
 public:
  using Options = PacingOptions;
  // `windows` counts what routers may share. With a `journal` the pacer does one
  // thing at a time, and writes down what suffices to do it all again; the journal outlives it.
  BudgetPacer(const Clock& clock, WindowLedger& windows, Options options,
              PacerJournal* journal = nullptr);
  ~BudgetPacer();

  // Adds or changes; amount 0 removes. `pool` empty: across pools. A budget is named by pool,
  // tenant, resource and period. INVALID_ARGUMENT says what is wrong. Prices learnt so far are
  // kept.
  absl::Status SetBudget(absl::string_view pool, const config::v1::Budget& budget);

  // A request arrives. RESOURCE_EXHAUSTED with RetryAfter where a hard budget is spent. `sequence`:
  // of the journal's event; 0 without a journal.
  absl::StatusOr<Reservation> Open(absl::string_view pool, absl::string_view tenant,
                                   uint64_t* sequence = nullptr);

  // What Open and the reservation would say, and nothing counted: for Explain.
  struct Quote {
    double price_per_joule = 0;
    double price_multiplier = 1;  // as Reservation's
    double headroom_j = 0;
    double largest_j = 0;
    OtherTerms others;
    absl::Status status;  // RESOURCE_EXHAUSTED: Open would refuse
  };
  Quote Peek(absl::string_view pool, absl::string_view tenant) const;

  // Budgets of exactly this pool and tenant ("": across pools, everybody's), for GetBudget.
  std::vector<v1::BudgetStatus> List(absl::string_view pool, absl::string_view tenant) const;
  // Every budget in force, for metrics. Looking changes nothing, so a journal need not know.
  std::vector<BudgetStanding> Standings(absl::Time now) const;
  // Sum of the joule prices that bind everybody in the pool.
  double PricePerJoule(absl::string_view pool) const;

  // Watts that the pool's (empty: all) devices draw without work: a budget in joules per second
  // steers what is left over them.
  void SetIdleWatts(absl::string_view pool, double watts);

  // What routers keep together: budgets with a price, per second, hour or day. Looking changes
  // nothing.
  std::vector<std::pair<BudgetKey, BudgetDemand>> Demands() const;
  // What the others did, and how much of the budget is this router's. Of one that is not there:
  // nothing.
  void SetShare(const BudgetKey& key, const PlatformShare& platform);

 private:
  using Key = std::tuple<std::string, std::string, int, int>;  // pool, tenant, resource, per
  struct Entry {
    config::v1::Budget budget;
    std::string text;  // as refusals name it
    std::shared_ptr<PricedBudget> priced;     // null: of requests
    std::shared_ptr<PrincipalLedger> ledger;  // beside it; null: tenants are not bounded
    // Counts what routers share; null: a mean per request, or soft where the price alone keeps it.
    std::shared_ptr<WindowBudget> window;
  };
  // What binds a request of a pool: by tenants that have a budget here or across pools.
  struct PoolSets {
    std::shared_ptr<const BudgetSet> everybody;
    absl::flat_hash_map<std::string, std::shared_ptr<const BudgetSet>> tenants;
  };

  absl::StatusOr<Reservation> OpenNow(absl::string_view pool, absl::string_view tenant);
  std::shared_ptr<const BudgetSet> Find(absl::string_view pool, absl::string_view tenant) const;
  double IdleWatts(const std::string& pool) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Has(const std::string& pool) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Has(const std::string& pool, const std::string& tenant) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After a budget of this pool and tenant changed, came or went: only the sets that it stands in.
  void Reindex(const std::string& pool, const std::string& tenant)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void IndexPool(const std::string& pool, PoolSets& sets) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void IndexTenant(const std::string& pool, const std::string& tenant, PoolSets& sets) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<const BudgetSet> SetOf(const std::string& pool, const std::string& tenant) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<PacerOrder> order_;  // null: no journal
  const Clock& clock_;
  WindowLedger& ledger_;
  const WindowLedger& counts_;  // the same, to be read outside of the order
  const Options options_;
  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, double> idle_watts_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, PoolSets> pools_ ABSL_GUARDED_BY(mutex_);  // that have budgets
  PoolSets other_pools_ ABSL_GUARDED_BY(mutex_);
};

// How long a RESOURCE_EXHAUSTED of ours asks to wait: the trailer `retry-after-ms`.
absl::Status ExhaustedError(absl::string_view message, absl::Duration retry_after);
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace penstock::router
