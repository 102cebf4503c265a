#include "router_service/budget_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/logging/log.h"
#include "router_service/metrics/families.h"
#include "router_service/pacing/budget_pacer.h"

namespace penstock::router {
namespace {

constexpr size_t kMostBudgets = 256;
constexpr std::array<const char*, 5> kParts = {"granted", "returned", "settled", "reserved",
                                               "others"};

prometheus::Labels LabelsOf(const std::string& key) {
  const std::vector<std::string> parts = WindowKeyParts(key);
  prometheus::Labels labels;
  constexpr std::array<const char*, 4> kNames = {"pool", "tenant", "resource", "per"};
  for (size_t i = 0; i < kNames.size() && i < parts.size(); ++i) {
    labels.emplace(kNames[i], i < 2 ? parts[i] : absl::AsciiStrToLower(parts[i]));
  }
  return labels;
}

double UnitOf(const prometheus::Labels& labels) {
  const auto resource = labels.find("resource");
  return resource != labels.end() && resource->second == "requests" ? 1 : 1e-6;
}

struct OfBudget {
  double unit = 1;
  std::array<prometheus::Gauge*, kParts.size()> parts{};
  prometheus::Gauge* rate = nullptr;
  prometheus::Gauge* age = nullptr;
  prometheus::Gauge* lost = nullptr;
  prometheus::Counter* unsure = nullptr;
  int64_t unsure_told = 0;
  bool was_lost = false;
  bool seen = false;
};

}  // namespace

struct BudgetMetrics::State {
  State(prometheus::Registry& registry, PoolLabels& labels)
      : pools(labels),
        parts(prometheus::BuildGauge()
                  .Name("penstock_router_shared_budget_amount")
                  .Help("Of a shared budget's open window, in the resource's own unit, by part: "
                        "granted, returned and settled by this router, reserved by its requests in "
                        "flight, taken by others.")
                  .Register(registry)),
        rate(prometheus::BuildGauge()
                 .Name("penstock_router_shared_budget_rate")
                 .Help("What this router takes of a shared budget a second, and would without the "
                       "store.")
                 .Register(registry)),
        age(prometheus::BuildGauge()
                .Name("penstock_router_shared_budget_age_seconds")
                .Help("Since the store last answered for a shared budget.")
                .Register(registry)),
        lost(prometheus::BuildGauge()
                 .Name("penstock_router_shared_budget_store_down")
                 .Help("1: the store does not answer for a shared budget.")
                 .Register(registry)),
        unsure(prometheus::BuildCounter()
                   .Name("penstock_router_shared_budget_unsure_total")
                   .Help("Of a shared budget, spent without a lease while the store did not "
                         "answer, in the resource's own unit.")
                   .Register(registry)) {}

  bool IsTold(const std::string& key) {
    const std::string pool = WindowKeyParts(key)[0];
    return pool.empty() || pools.Admit(pool);
  }

  OfBudget Make(const std::string& key) {
    const prometheus::Labels labels = LabelsOf(key);
    OfBudget made;
    made.unit = UnitOf(labels);
    for (size_t i = 0; i < kParts.size(); ++i) {
      prometheus::Labels with_part = labels;
      with_part.emplace("part", kParts[i]);
      made.parts[i] = &parts.Add(with_part);
    }
    made.rate = &rate.Add(labels);
    made.age = &age.Add(labels);
    made.lost = &lost.Add(labels);
    made.unsure = &unsure.Add(labels);
    return made;
  }

  void Drop(const OfBudget& gone) {
    for (prometheus::Gauge* part : gone.parts) parts.Remove(part);
    rate.Remove(gone.rate);
    age.Remove(gone.age);
    lost.Remove(gone.lost);
    unsure.Remove(gone.unsure);
  }

  PoolLabels& pools;
  Gauges& parts;
  Gauges& rate;
  Gauges& age;
  Gauges& lost;
  Counters& unsure;
  std::map<std::string, OfBudget> budgets;
};

BudgetMetrics::BudgetMetrics(prometheus::Registry& registry, PoolLabels& labels)
    : state_(std::make_unique<State>(registry, labels)) {}

BudgetMetrics::~BudgetMetrics() = default;

void BudgetMetrics::Update(const std::vector<SharedWindowLedger::Figures>& budgets) {
  for (auto& [key, budget] : state_->budgets) budget.seen = false;
  for (const SharedWindowLedger::Figures& figures : budgets) {
    auto found = state_->budgets.find(figures.key);
    if (found == state_->budgets.end()) {
      if (state_->budgets.size() >= kMostBudgets || !state_->IsTold(figures.key)) continue;
      found = state_->budgets.emplace(figures.key, state_->Make(figures.key)).first;
    }
    OfBudget& budget = found->second;
    budget.seen = true;
    const std::array<int64_t, kParts.size()> amounts = {figures.granted, figures.returned,
                                                        figures.settled, figures.reserved,
                                                        figures.others_taken};
    for (size_t i = 0; i < kParts.size(); ++i) {
      budget.parts[i]->Set(static_cast<double>(amounts[i]) * budget.unit);
    }
    budget.rate->Set(figures.rate * budget.unit);
    budget.age->Set(absl::ToDoubleSeconds(figures.age));
    budget.lost->Set(figures.lost ? 1 : 0);
    if (figures.unsure > budget.unsure_told) {
      budget.unsure->Increment(static_cast<double>(figures.unsure - budget.unsure_told) *
                               budget.unit);
    }
    budget.unsure_told = figures.unsure;
    if (figures.lost == budget.was_lost) continue;
    budget.was_lost = figures.lost;
    LogEvent(figures.lost ? LogLevel::kWarning : LogLevel::kInfo, "budget_store")
        .With("budget", figures.key)
        .With("store", figures.lost ? "down" : "back");
  }
  for (auto it = state_->budgets.begin(); it != state_->budgets.end();) {
    if (it->second.seen) {
      ++it;
      continue;
    }
    state_->Drop(it->second);
    it = state_->budgets.erase(it);
  }
}

}  // namespace penstock::router
