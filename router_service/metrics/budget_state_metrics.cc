#include "router_service/metrics/budget_state_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <map>
#include <string>
#include <tuple>

#include "absl/strings/ascii.h"
#include "router_service/metrics/families.h"

namespace penstock::router {
namespace {

using config::v1::Budget;
using Key = std::tuple<std::string, std::string, int, int>;

prometheus::Labels LabelsOf(const BudgetStanding& budget) {
  return {{"pool", budget.pool},
          {"tenant", budget.tenant},
          {"resource", absl::AsciiStrToLower(Budget::Resource_Name(budget.resource))},
          {"per", absl::AsciiStrToLower(Budget::Per_Name(budget.per))}};
}

struct OfBudget {
  prometheus::Gauge* limit = nullptr;
  prometheus::Gauge* remaining = nullptr;
  prometheus::Gauge* price = nullptr;
  bool seen = false;
};

}  // namespace

struct BudgetStateMetrics::State {
  State(prometheus::Registry& registry, PoolLabels& labels_in)
      : labels(labels_in),
        limit(MakeGauges(registry, "penstock_router_budget_limit",
                         "Amount of a budget in force, in the resource's own unit, by what it is "
                         "of (empty pool: across pools; empty tenant: everybody).")),
        remaining(MakeGauges(registry, "penstock_router_budget_remaining",
                             "What is left of a budget in its open window, less what requests in "
                             "flight hold, in the resource's own unit; of one per request: its "
                             "credit. As GetBudget has it.")),
        price(MakeGauges(registry, "penstock_router_budget_price",
                         "What a unit of a budget's resource costs a decision at present, in "
                         "quality units; of requests: 0.")) {}

  PoolLabels& labels;
  Gauges& limit;
  Gauges& remaining;
  Gauges& price;
  std::map<Key, OfBudget> budgets;
};

BudgetStateMetrics::BudgetStateMetrics(prometheus::Registry& registry, PoolLabels& labels)
    : state_(std::make_unique<State>(registry, labels)) {}

BudgetStateMetrics::~BudgetStateMetrics() = default;

void BudgetStateMetrics::Update(const std::vector<BudgetStanding>& budgets) {
  for (auto& [key, budget] : state_->budgets) budget.seen = false;
  const auto set = [](const BudgetStanding& standing, OfBudget& budget) {
    budget.seen = true;
    budget.limit->Set(standing.limit);
    budget.remaining->Set(standing.remaining);
    budget.price->Set(standing.price);
  };
  std::vector<const BudgetStanding*> came;
  for (const BudgetStanding& standing : budgets) {
    const auto known =
        state_->budgets.find(Key{standing.pool, standing.tenant, standing.resource, standing.per});
    if (known == state_->budgets.end()) {
      came.push_back(&standing);
    } else {
      set(standing, known->second);
    }
  }
  for (auto it = state_->budgets.begin(); it != state_->budgets.end();) {
    if (it->second.seen) {
      ++it;
      continue;
    }
    state_->limit.Remove(it->second.limit);
    state_->remaining.Remove(it->second.remaining);
    state_->price.Remove(it->second.price);
    it = state_->budgets.erase(it);
  }
  for (const BudgetStanding* const standing : came) {
    if (state_->budgets.size() >= kMostBudgets) break;
    if (!standing->pool.empty() && !state_->labels.Admit(standing->pool)) continue;
    const prometheus::Labels labels = LabelsOf(*standing);
    OfBudget& budget =
        state_->budgets[Key{standing->pool, standing->tenant, standing->resource, standing->per}];
    budget.limit = &state_->limit.Add(labels);
    budget.remaining = &state_->remaining.Add(labels);
    budget.price = &state_->price.Add(labels);
    set(*standing, budget);
  }
}

}  // namespace penstock::router
