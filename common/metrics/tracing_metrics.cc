#include "common/metrics/tracing_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <utility>

namespace penstock {

struct TracingMetrics::Counters {
  explicit Counters(prometheus::Family<prometheus::Counter>& family)
      : exported(family.Add({{"result", "exported"}})),
        dropped(family.Add({{"result", "dropped"}})),
        failed(family.Add({{"result", "failed"}})) {}

  prometheus::Counter& exported;
  prometheus::Counter& dropped;
  prometheus::Counter& failed;
};

TracingMetrics::TracingMetrics(std::shared_ptr<prometheus::Registry> registry)
    : registry_(std::move(registry)),
      counters_(std::make_unique<const Counters>(
          prometheus::BuildCounter()
              .Name("penstock_tracing_spans_total")
              .Help("Spans of requests, by what became of them: exported to the collector, dropped "
                    "since too many waited, failed since the collector did not take them.")
              .Register(*registry_))) {}

TracingMetrics::~TracingMetrics() = default;

void TracingMetrics::Exported(uint64_t spans) {
  counters_->exported.Increment(static_cast<double>(spans));
}
void TracingMetrics::Dropped(uint64_t spans) {
  counters_->dropped.Increment(static_cast<double>(spans));
}
void TracingMetrics::Failed(uint64_t spans) {
  counters_->failed.Increment(static_cast<double>(spans));
}

}  // namespace penstock
