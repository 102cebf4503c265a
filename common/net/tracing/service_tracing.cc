#include "common/net/tracing/service_tracing.h"

#include <cstdint>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/metrics/tracing_metrics.h"
#include "common/net/tracing/otlp_exporter.h"
#include "common/status_macros.h"
#include "common/time/timers.h"
#include "common/tracing/tracer.h"
#include "common/tracing/tracing_options.h"

namespace penstock {
namespace {

class NoObserver final : public SpanObserver {
 public:
  void Exported(uint64_t) override {}
  void Dropped(uint64_t) override {}
  void Failed(uint64_t) override {}
};

uint64_t DrawSeed(std::random_device& random) {
  return static_cast<uint64_t>(random()) << 32 | random();
}

}  // namespace

// In order of construction. The timers' thread, which makes messages of spans, ends before the
// exporter does, whose thread then ends what is under way.
struct ServiceTracing::Parts {
  std::unique_ptr<TracingMetrics> metrics;  // null: nothing is told
  NoObserver no_observer;
  std::unique_ptr<OtlpExporter> exporter;  // null here and below: there is no collector
  std::unique_ptr<ThreadTimers> timers;
  std::shared_ptr<SpanBatcher> batcher;
  std::shared_ptr<Tracer> tracer;
};

absl::Status ServiceTracing::Validate(const config::v1::Tracing& config) {
  return TracingOptions::Read(config).status();
}

absl::StatusOr<std::unique_ptr<ServiceTracing>> ServiceTracing::Create(
    const config::v1::Tracing& config, const std::string& service, const Clock& clock,
    std::shared_ptr<prometheus::Registry> registry) {
  PENSTOCK_ASSIGN_OR_RETURN(const TracingOptions options, TracingOptions::Read(config));
  auto parts = std::make_unique<Parts>();
  if (registry != nullptr) parts->metrics = std::make_unique<TracingMetrics>(std::move(registry));
  if (options.on) {
    std::random_device random;
    Tracer::Options tracer;
    tracer.sample_share = options.sample_share;
    tracer.max_per_second = options.max_per_second;
    tracer.seed_high = DrawSeed(random);
    tracer.seed_low = DrawSeed(random);
    const std::string instance = absl::StrCat(absl::Hex(DrawSeed(random), absl::kZeroPad16));
    PENSTOCK_ASSIGN_OR_RETURN(
        parts->exporter,
        OtlpExporter::Create(config.collector(), options.timeout,
                             {absl::StrCat("penstock-", service), PENSTOCK_VERSION, instance},
                             clock));
    SpanObserver& observer = parts->metrics == nullptr
                                 ? static_cast<SpanObserver&>(parts->no_observer)
                                 : *parts->metrics;
    parts->timers = std::make_unique<ThreadTimers>(clock);
    parts->batcher = std::make_shared<SpanBatcher>(options.batches, clock, *parts->timers,
                                                   *parts->exporter, observer);
    parts->tracer = std::make_shared<Tracer>(tracer, parts->batcher, clock.Now());
  }
  return std::unique_ptr<ServiceTracing>(new ServiceTracing(std::move(parts)));
}

ServiceTracing::ServiceTracing(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

ServiceTracing::~ServiceTracing() { Finish(); }

Tracer* ServiceTracing::tracer() const { return parts_->tracer.get(); }

void ServiceTracing::Finish() {
  if (parts_->batcher != nullptr) parts_->batcher->Finish(kLastSending);
}

}  // namespace penstock
