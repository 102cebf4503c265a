#include "common/reload/reload_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <utility>

namespace penstock {
namespace {

struct OfRegistry {
  explicit OfRegistry(std::shared_ptr<prometheus::Registry> registry)
      : kept(std::move(registry)),
        reloads(prometheus::BuildCounter()
                    .Name("penstock_config_reloads_total")
                    .Help("Configurations read again while serving, by result: applied, unchanged, "
                          "refused.")
                    .Register(*kept)),
        applied(reloads.Add({{"result", "applied"}})),
        unchanged(reloads.Add({{"result", "unchanged"}})),
        refused(reloads.Add({{"result", "refused"}})),
        version(prometheus::BuildGauge()
                    .Name("penstock_config_version")
                    .Help("First 48 bits of the SHA-256 of the configuration that serves and of "
                          "what it was built from: equal where that is equal.")
                    .Register(*kept)
                    .Add({})),
        since(prometheus::BuildGauge()
                  .Name("penstock_config_applied_timestamp_seconds")
                  .Help("When the configuration that serves was applied.")
                  .Register(*kept)
                  .Add({})) {}

  const std::shared_ptr<prometheus::Registry> kept;
  prometheus::Family<prometheus::Counter>& reloads;
  prometheus::Counter& applied;
  prometheus::Counter& unchanged;
  prometheus::Counter& refused;
  prometheus::Gauge& version;
  prometheus::Gauge& since;
};

}  // namespace

struct ReloadMetrics::State {
  std::vector<std::unique_ptr<OfRegistry>> registries;
};

ReloadMetrics::ReloadMetrics(const std::vector<std::shared_ptr<prometheus::Registry>>& registries)
    : state_(std::make_unique<State>()) {
  for (const auto& registry : registries) {
    state_->registries.push_back(std::make_unique<OfRegistry>(registry));
  }
}

ReloadMetrics::~ReloadMetrics() = default;

void ReloadMetrics::Started(uint64_t version, absl::Time at) {
  for (const auto& each : state_->registries) {
    each->version.Set(static_cast<double>(version));
    each->since.Set(absl::ToDoubleSeconds(at - absl::UnixEpoch()));
  }
}

void ReloadMetrics::Applied(uint64_t version, absl::Time at) {
  Started(version, at);
  for (const auto& each : state_->registries) each->applied.Increment();
}

void ReloadMetrics::Unchanged() {
  for (const auto& each : state_->registries) each->unchanged.Increment();
}

void ReloadMetrics::Refused() {
  for (const auto& each : state_->registries) each->refused.Increment();
}

}  // namespace penstock
