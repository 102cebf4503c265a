#include "router_service/metrics/energy_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "router_service/dispatch/energy_tally.h"
#include "router_service/metrics/lazy_series.h"

namespace penstock::router {
namespace {

constexpr char kOther[] = "other";

struct OfTenant {
  explicit OfTenant(std::string name) : label(std::move(name)) {}

  const std::string label;
  LazySeries<prometheus::Counter, kEnergyMethods> joules;
};

}  // namespace

struct EnergyMetrics::State {
  explicit State(prometheus::Registry& registry)
      : joules(prometheus::BuildCounter()
                   .Name("penstock_router_tenant_joules_total")
                   .Help("Joules of the experts, all attempts, by tenant and method: the weakest "
                         "that a request's joules are known by.")
                   .Register(registry)) {}

  OfTenant& Find(const std::string& tenant) {
    MutexLock lock(mutex);
    if (const auto known = tenants.find(tenant); known != tenants.end()) return *known->second;
    // "other" has its place beside them.
    if (tenants.size() >= kMostTenants && tenant != kOther) {
      if (other == nullptr) other = std::make_unique<OfTenant>(kOther);
      return *other;
    }
    return *tenants.emplace(tenant, std::make_unique<OfTenant>(tenant)).first->second;
  }

  prometheus::Family<prometheus::Counter>& joules;
  Mutex mutex;
  absl::flat_hash_map<std::string, std::unique_ptr<OfTenant>> tenants ABSL_GUARDED_BY(mutex);
  std::unique_ptr<OfTenant> other ABSL_GUARDED_BY(mutex);
};

EnergyMetrics::EnergyMetrics(prometheus::Registry& registry)
    : state_(std::make_unique<State>(registry)) {}

EnergyMetrics::~EnergyMetrics() = default;

void EnergyMetrics::RequestFinished(const RouteEvent& event) {
  // Nobody was asked: nothing was used.
  if (event.decision == nullptr || event.decision->runs_size() == 0) return;
  const EnergyMethod method = ParseEnergyMethod(event.decision->energy_method());
  OfTenant& tenant = state_->Find(event.decision->tenant());
  tenant.joules
      .Get(
          static_cast<size_t>(method),
          [&]() -> auto& {
            return state_->joules.Add(
                {{"tenant", tenant.label}, {"method", std::string(EnergyMethodName(method))}});
          })
      .Increment(event.decision->energy_j());
}

}  // namespace penstock::router
