#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "expert_service/execution/executor.h"
#include "expert_service/metering/gpu_watch.h"
#include "expert_service/metering/host_usage.h"
#include "expert_service/models/live_repository.h"

namespace penstock::expert {

// The names under which Triton's tools look for what a model server does, read from the service's
// own statistics when it is scraped: nothing is counted twice.
class TritonMetrics final : public prometheus::Collectable {
 public:
  // Versions of models beyond these are not told.
  static constexpr size_t kMostVersions = 1000;

  // `gpus` may be null: there are none. The others outlive it.
  TritonMetrics(const Executor& executor, const LiveRepository& models,
                std::unique_ptr<GpuWatch> gpus, std::unique_ptr<HostUsage> host);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Executor& executor_;
  const LiveRepository& models_;
  const std::unique_ptr<GpuWatch> gpus_;
  const std::unique_ptr<HostUsage> host_;
};

}  // namespace penstock::expert
