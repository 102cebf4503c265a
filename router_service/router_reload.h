#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/notification.h"
#include "common/reload/prepared_reload.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/plan_loop.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/settings/budget_settings.h"

namespace penstock::router {

class RouterTelemetry;

// Puts another configuration in the place of the one that a router serves: its pools, with their
// files, and the budgets. One caller at a time.
class RouterReload {
 public:
  struct Deps {
    PoolCatalogue& catalogue;
    BudgetSettings& budgets;
    PlanLoop& plans;
    RouterTelemetry* telemetry = nullptr;  // null: nothing is exported
  };
  RouterReload(const config::v1::Router& running, Deps deps);

  // `next` has passed RouterService::Validate. INVALID_ARGUMENT names a field that cannot change
  // while the router runs; else as PoolCatalogue::Stage. The commit must run before the next
  // Prepare.
  absl::StatusOr<PreparedReload> Prepare(const config::v1::Router& next,
                                         const Notification& give_up);

  // Of the files that the pools were made from.
  std::string Fingerprint() const;

 private:
  void Commit(const config::v1::Router& next, std::unique_ptr<StagedPools> staged);

  const Deps deps_;
  config::v1::Router running_;
};

}  // namespace penstock::router
