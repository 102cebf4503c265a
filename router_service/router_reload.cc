#include "router_service/router_reload.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/config_changes.h"
#include "common/logging/log.h"
#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "router_service/router_telemetry.h"

namespace penstock::router {
namespace {

// Pools wait this long for their experts to answer under the new configuration, as they do when a
// router starts.
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr size_t kMostChanges = 256;

std::map<BudgetName, config::v1::Budget> BudgetsOf(const config::v1::Router& config) {
  std::map<BudgetName, config::v1::Budget> budgets;
  const auto add = [&](const std::string& pool, const config::v1::Budget& budget) {
    budgets[NameOf(pool, budget)] = budget;
  };
  for (const config::v1::Budget& budget : config.budgets()) add("", budget);
  for (const config::v1::Pool& pool : config.pools()) {
    for (const config::v1::Budget& budget : pool.budgets()) add(pool.name(), budget);
  }
  return budgets;
}

absl::Status CheckFixedFields(const config::v1::Router& running, const config::v1::Router& next) {
  config::v1::Router was = running, is = next;
  for (config::v1::Router* each : {&was, &is}) {
    each->clear_pools();
    each->clear_budgets();
    each->mutable_server()->clear_log();
  }
  const std::vector<std::string> changed = ChangedFields(was, is, 1);
  if (changed.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(changed[0], ": cannot change while the router runs, restart it"));
}

}  // namespace

RouterReload::RouterReload(const config::v1::Router& running, Deps deps)
    : deps_(std::move(deps)), running_(running) {}

absl::StatusOr<PreparedReload> RouterReload::Prepare(const config::v1::Router& next,
                                                     const Notification& give_up) {
  PENSTOCK_RETURN_IF_ERROR(CheckFixedFields(running_, next));
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<StagedPools> staged,
                            deps_.catalogue.Stage(next, kPatience, give_up));
  PreparedReload prepared;
  prepared.changes = ChangedFields(running_, next, kMostChanges);
  for (const auto& [name, how] : staged->changes()) {
    const std::string path = absl::StrCat("pools.", name);
    const auto of_pool = [&](const std::string& change) {
      return absl::StartsWith(change, path + ".") || absl::StartsWith(change, path + " ");
    };
    if (how == "changed" &&
        std::none_of(prepared.changes.begin(), prepared.changes.end(), of_pool)) {
      prepared.changes.push_back(path + " (files)");
    }
  }
  prepared.commit = [this, next, staged = std::move(staged)]() mutable {
    Commit(next, std::move(staged));
  };
  return prepared;
}

void RouterReload::Commit(const config::v1::Router& next, std::unique_ptr<StagedPools> staged) {
  const std::map<BudgetName, config::v1::Budget> was = BudgetsOf(running_);
  const std::map<BudgetName, config::v1::Budget> is = BudgetsOf(next);
  const auto set = [&](const BudgetName& name, const config::v1::Budget& budget) {
    const absl::Status status = deps_.budgets.Configure(std::get<0>(name), budget);
    // It has passed the same checks with the rest of the configuration.
    if (!status.ok()) LogError("budget_not_set").With("reason", status.ToString());
  };
  // A pool that begins is bound from its first request on.
  for (const auto& [name, budget] : is) {
    const auto before = was.find(name);
    if (before == was.end() ||
        !google::protobuf::util::MessageDifferencer::Equals(before->second, budget)) {
      set(name, budget);
    }
  }
  if (deps_.telemetry != nullptr) deps_.telemetry->PoolsStaged(next, *staged);
  for (const std::shared_ptr<const Pool>& pool : staged->Begun()) {
    if (pool->rooms == nullptr) continue;
    for (const std::string& warning : pool->rooms->warnings) {
      LogWarning("pool_warning").With("pool", pool->name()).With("reason", warning);
    }
  }
  deps_.catalogue.Commit(std::move(staged));
  for (const auto& [name, budget] : was) {
    if (is.count(name) > 0) continue;
    config::v1::Budget none = budget;
    none.set_amount(0);
    set(name, none);
  }
  deps_.plans.Start();
  running_ = next;
}

std::string RouterReload::Fingerprint() const { return deps_.catalogue.FilesDigest(); }

}  // namespace penstock::router
