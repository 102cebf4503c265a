#pragma once

#include "absl/status/status.h"
#include "common/net/oip/oip_core.h"
#include "common/time/clock.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/caller_identity.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/settings/budget_settings.h"
#include "router_service/settings/shared_settings.h"
#include "router_service/usage/usage_pages.h"

namespace penstock::router {

// What penstock.v1.Routing says of budgets and of what was used, to callers that are known.
// Thread-safe.
class BudgetCalls {
 public:
  struct Deps {
    const PoolCatalogue& catalogue;
    BudgetPacer& pacer;
    BudgetSettings& settings;
    SharedSettings* shared;  // null: routers share no store
    UsagePages& usage;
    const Clock& clock;
  };
  explicit BudgetCalls(Deps deps) : deps_(deps) {}

  double PricePerJoule(const std::string& pool) const { return deps_.pacer.PricePerJoule(pool); }

  absl::Status Get(const CallerIdentity& caller, const v1::GetBudgetRequest& request,
                   v1::GetBudgetResponse& response) const;
  // Of callers with the admin right. Request and response live until `done` has run.
  void Set(const CallerIdentity& caller, const v1::SetBudgetRequest& request, absl::Time deadline,
           v1::SetBudgetResponse& response, ControlDone done) const;
  void GetUsage(const CallerIdentity& caller, const v1::GetUsageRequest& request,
                absl::Time deadline, v1::GetUsageResponse& response, ControlDone done) const;

 private:
  void List(const std::string& pool, const std::string& tenant,
            v1::GetBudgetResponse& response) const;

  const Deps deps_;
};

}  // namespace penstock::router
