#include "router_service/oip/budget_calls.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/dispatch/route_request.h"

namespace penstock::router {
namespace {

// A caller is not kept for longer where the store does not answer.
constexpr absl::Duration kStorePatience = absl::Seconds(2);

// What is of all pools is not for who administers some of them. `pool` empty: of all.
absl::Status CheckAdministers(const CallerIdentity& caller, const std::string& pool) {
  if (!pool.empty() || caller.rights.pools.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("tenant ", caller.tenant, " administers some pools: name one"));
}

}  // namespace

void BudgetCalls::List(const std::string& pool, const std::string& tenant,
                       v1::GetBudgetResponse& response) const {
  for (v1::BudgetStatus& budget : deps_.pacer.List(pool, tenant)) {
    budget.set_set_by_call(deps_.settings.Holds(NameOf(pool, budget.budget())));
    *response.add_budgets() = std::move(budget);
  }
}

absl::Status BudgetCalls::Get(const CallerIdentity& caller, const v1::GetBudgetRequest& request,
                              v1::GetBudgetResponse& response) const {
  if (!request.pool().empty()) {
    PENSTOCK_RETURN_IF_ERROR(FindPool(deps_.catalogue, request.pool(), "", caller).status());
  }
  const auto may_see = [&](const std::string& tenant) {
    return tenant.empty() || tenant == caller.tenant || caller.rights.admin;
  };
  if (!may_see(request.tenant())) {
    return absl::PermissionDeniedError(absl::StrCat(
        "tenant ", caller.tenant, " may not see budgets of tenant ", request.tenant()));
  }
  if (!request.all()) {
    List(request.pool(), request.tenant(), response);
    return absl::OkStatus();
  }
  for (const auto& [pool, tenant] : deps_.settings.Owners()) {
    if (!request.pool().empty() && pool != request.pool()) continue;
    if (!request.tenant().empty() && tenant != request.tenant()) continue;
    if (!may_see(tenant) || (!pool.empty() && !caller.rights.MayCall(pool))) continue;
    List(pool, tenant, response);
  }
  return absl::OkStatus();
}

void BudgetCalls::Set(const CallerIdentity& caller, const v1::SetBudgetRequest& request,
                      absl::Time deadline, v1::SetBudgetResponse& response,
                      ControlDone done) const {
  if (const absl::Status may = CheckAdministers(caller, request.pool()); !may.ok()) {
    return done(may);
  }
  if (!request.pool().empty()) {
    const absl::Status found = FindPool(deps_.catalogue, request.pool(), "", caller).status();
    if (!found.ok()) return done(found);
  }
  const auto setting = deps_.settings.Set(request.pool(), request.budget());
  if (!setting.ok()) return done(setting.status());
  if (deps_.shared == nullptr) return done(absl::OkStatus());
  deps_.shared->Share(*setting, std::min(deadline, deps_.clock.Now() + kStorePatience),
                      [&response, done = std::move(done)](const absl::Status& stored) mutable {
                        // It holds here, so the call has not failed.
                        response.set_sharing(stored.ok() ? v1::SetBudgetResponse::SHARED
                                                         : v1::SetBudgetResponse::PENDING);
                        if (!stored.ok()) response.set_pending_because(stored.ToString());
                        done(absl::OkStatus());
                      });
}

void BudgetCalls::GetUsage(const CallerIdentity& caller, const v1::GetUsageRequest& request,
                           absl::Time deadline, v1::GetUsageResponse& response,
                           ControlDone done) const {
  // A pool that is gone has been used all the same.
  if (!request.pool().empty() && !caller.rights.MayCall(request.pool())) {
    return done(absl::PermissionDeniedError(
        absl::StrCat("tenant ", caller.tenant, " may not call pool ", request.pool())));
  }
  if (const absl::Status may = CheckAdministers(caller, request.pool()); !may.ok()) {
    return done(may);
  }
  deps_.usage.Read(
      request, std::min(deadline, deps_.clock.Now() + 2 * kStorePatience),
      [&response, done = std::move(done)](absl::StatusOr<v1::GetUsageResponse> page) mutable {
        if (page.ok()) {
          response = *std::move(page);
          return done(absl::OkStatus());
        }
        const absl::Status& why = page.status();
        const bool of_the_store = absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why);
        done(of_the_store ? absl::Status(why.code(), absl::StrCat("the store that routers share: ",
                                                                  why.message()))
                          : why);
      });
}

}  // namespace penstock::router
