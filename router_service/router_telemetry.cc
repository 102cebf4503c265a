#include "router_service/router_telemetry.h"

#include <string>

#include "router_service/shadow_metrics.h"

namespace penstock::router {
namespace {

constexpr double kDefaultWattsPerCore = 10;

std::vector<std::string> PoolNames(const config::v1::Router& config) {
  std::vector<std::string> names;
  for (const config::v1::Pool& pool : config.pools()) names.push_back(pool.name());
  return names;
}

}  // namespace

RouterTelemetry::RouterTelemetry(const Deps& deps)
    : registry_(deps.registry),
      catalogue_(deps.catalogue),
      clock_(deps.clock),
      pacer_(deps.pacer),
      ledger_(deps.ledger),
      shared_load_(deps.shared_load),
      log_(deps.log),
      requests_(
          *registry_, labels_, PoolNames(deps.config),
          deps.config.has_watts_per_core() ? deps.config.watts_per_core() : kDefaultWattsPerCore),
      guards_(*registry_, labels_, deps.config, requests_),
      balance_(std::make_unique<BalanceMetrics>(BalanceMetrics::Deps{
          *registry_, labels_, deps.catalogue, deps.store, deps.clock, deps.timers, guards_})),
      store_(
          std::make_shared<StoreMetrics>(*registry_, "state", deps.store, deps.clock, deps.timers)),
      resilience_(*registry_, labels_),
      budgets_(*registry_, labels_),
      shared_budgets_(ledger_ == nullptr ? nullptr
                                         : std::make_unique<BudgetMetrics>(*registry_, labels_)),
      decision_log_(log_.folder_state().has_value()
                        ? std::make_unique<DecisionLogMetrics>(*registry_)
                        : nullptr) {
  ExportShadowMetrics(*registry_, labels_, catalogue_);
}

void RouterTelemetry::Start() {
  store_->Start();
  balance_->Start();
}

void RouterTelemetry::Stop() {
  store_->Stop();
  balance_->Stop();
}

void RouterTelemetry::Swept(const std::vector<std::shared_ptr<const Pool>>& pools) {
  const absl::Time now = clock_.Now();
  resilience_.Swept(pools, now);
  requests_.Swept(pools, now);
  budgets_.Update(pacer_.Standings(now));
  if (shared_budgets_ != nullptr) shared_budgets_->Update(ledger_->figures());
  if (decision_log_ != nullptr) decision_log_->Update(*log_.folder_state(), now);
  if (shared_load_ == nullptr) return;
  const SharedLoad::State others = shared_load_->state();
  requests_.OthersKnown(others.routers, others.in_flight);
}

void RouterTelemetry::PoolsStaged(const config::v1::Router& next, const StagedPools& staged) {
  for (const config::v1::Pool& pool : next.pools()) requests_.AddPool(pool.name());
  guards_.Update(next);
  for (const std::shared_ptr<const Pool>& pool : staged.Begun()) {
    const std::shared_ptr<const Pool> before = catalogue_.Find(pool->name());
    // Who goes on counting has an observer already.
    if (before != nullptr && before->record == pool->record) continue;
    ExportShadowMetrics(*registry_, labels_, *pool);
  }
}

}  // namespace penstock::router
