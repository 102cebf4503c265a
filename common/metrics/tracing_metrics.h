#pragma once

#include <memory>

#include "common/tracing/span_batcher.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// What became of a service's spans. Thread-safe.
class TracingMetrics final : public SpanObserver {
 public:
  explicit TracingMetrics(std::shared_ptr<prometheus::Registry> registry);
  ~TracingMetrics() override;

  void Exported(uint64_t spans) override;
  void Dropped(uint64_t spans) override;
  void Failed(uint64_t spans) override;

 private:
  struct Counters;
  const std::shared_ptr<prometheus::Registry> registry_;
  const std::unique_ptr<const Counters> counters_;
};

}  // namespace penstock
