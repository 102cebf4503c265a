#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pacing/budget_pacer.h"

namespace penstock::router {

// A budget's name: pool, tenant, resource, period.
using BudgetName = std::tuple<std::string, std::string, int, int>;
BudgetName NameOf(const std::string& pool, const config::v1::Budget& budget);

// Which budgets hold: those of the configuration, and in the place of some what SetBudget said of
// them. A setting holds as long as the configuration says of its budget what it said when it was
// set, whatever happens in between: so a restart keeps it, a changed entry ends it, and routers
// with equal configurations and settings have equal budgets in whatever order they learnt of them.
// Thread-safe.
class BudgetSettings {
 public:
  // Names that may be set, removed ones included: as many as one key of a store holds.
  static constexpr size_t kMostSettings = 4096;
  // No router's clock is so far ahead of another's.
  static constexpr absl::Duration kFurthestAhead = absl::Hours(24);

  // `instance`: this router's, so that no two give one version. Both outlive this.
  BudgetSettings(BudgetPacer& pacer, const Clock& clock, uint32_t instance);

  // All budgets of a configuration, of pools and across them.
  absl::Status ConfigureAll(const config::v1::Router& config);
  // What the configuration says of one; amount 0: nothing any more. INVALID_ARGUMENT as the
  // pacer's.
  absl::Status Configure(const std::string& pool, const config::v1::Budget& budget);
  // SetBudget: amount 0 removes. Errors as the pacer's, and RESOURCE_EXHAUSTED: too many,
  // OUT_OF_RANGE: the clock is beyond what a version can say.
  absl::StatusOr<v1::BudgetSetting> Set(const std::string& pool, const config::v1::Budget& budget);
  // Another router's setting; kept and applied if it is newer than what is known of its budget.
  // Returns the version that it replaced; nothing: it was not newer. OUT_OF_RANGE: it is of a time
  // that has yet to come.
  absl::StatusOr<std::optional<int64_t>> Adopt(const v1::BudgetSetting& setting);

  std::vector<v1::BudgetSetting> All() const;
  // Version of what is known of the budget; 0: it was never set.
  int64_t VersionOf(const BudgetName& name) const;
  // Pool and tenant of every budget that there may be.
  std::set<std::pair<std::string, std::string>> Owners() const;
  // A setting holds for it.
  bool Holds(const BudgetName& name) const;

 private:
  struct Entry {
    std::optional<config::v1::Budget> configured;
    std::optional<v1::BudgetSetting> setting;
  };
  static bool Holds(const Entry& entry);
  // What the pacer should have; amount 0: nothing.
  static config::v1::Budget Effective(const BudgetName& name, const Entry& entry);
  Entry Known(const BudgetName& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the pacer what holds with `next`, and keeps it unless the pacer refuses.
  absl::Status Replace(const BudgetName& name, Entry next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<int64_t> NextVersion(int64_t known) const;

  BudgetPacer& pacer_;
  const Clock& clock_;
  const uint32_t instance_;
  mutable Mutex mutex_;  // held while the pacer is told: what it has is what was decided last
  std::map<BudgetName, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t settings_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
