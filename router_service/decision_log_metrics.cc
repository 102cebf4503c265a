#include "router_service/decision_log_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <string>

#include "common/logging/log.h"

namespace penstock::router {
namespace {

prometheus::Gauge& MakeGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct DecisionLogMetrics::Families {
  explicit Families(prometheus::Registry& registry)
      : failures(prometheus::BuildCounter()
                     .Name("penstock_router_decision_log_failures_total")
                     .Help("Writes and syncs of the decision log that failed.")
                     .Register(registry)
                     .Add({})),
        sequence(MakeGauge(registry, "penstock_router_decision_log_sequence",
                           "Last record of the decision log that is on the disk.")),
        bytes(MakeGauge(registry, "penstock_router_decision_log_bytes",
                        "Size of the decision log's segments.")),
        segments(MakeGauge(registry, "penstock_router_decision_log_segments",
                           "Files of the decision log that hold records.")) {
    auto& family = prometheus::BuildCounter()
                       .Name("penstock_router_decision_log_dropped_total")
                       .Help(
                           "Records that the decision log lost, at a full queue or a failing disk, "
                           "by kind (decision, event, audit).")
                       .Register(registry);
    for (const RecordKind kind : {RecordKind::kDecision, RecordKind::kEvent, RecordKind::kAudit}) {
      dropped[static_cast<size_t>(kind)] =
          &family.Add({{"kind", std::string(RecordKindName(kind))}});
    }
  }

  std::array<prometheus::Counter*, kRecordKinds> dropped{};
  prometheus::Counter& failures;
  prometheus::Gauge& sequence;
  prometheus::Gauge& bytes;
  prometheus::Gauge& segments;
};

DecisionLogMetrics::DecisionLogMetrics(prometheus::Registry& registry)
    : families_(std::make_unique<Families>(registry)) {}

DecisionLogMetrics::~DecisionLogMetrics() = default;

void DecisionLogMetrics::Update(const DecisionWriter::State& state, absl::Time now) {
  for (size_t i = 0; i < state.dropped.size(); ++i) {
    if (families_->dropped[i] == nullptr) continue;
    families_->dropped[i]->Increment(static_cast<double>(state.dropped[i] - told_.dropped[i]));
  }
  families_->failures.Increment(static_cast<double>(state.failures - told_.failures));
  families_->sequence.Set(static_cast<double>(state.sequence));
  families_->bytes.Set(static_cast<double>(state.bytes));
  families_->segments.Set(static_cast<double>(state.segments));
  if (state.failures > told_.failures && now >= next_warning_) {
    LogError("decision_log").With("failures", state.failures).With("problem", state.last_error);
    next_warning_ = now + absl::Minutes(1);
  }
  told_ = state;
}

}  // namespace penstock::router
