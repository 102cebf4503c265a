#pragma once

#include <prometheus/collectable.h>

#include <vector>

namespace penstock {

// The process_* metrics that Prometheus' own client libraries export.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace penstock
