#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "expert_service/execution/executor.h"
#include "expert_service/models/live_repository.h"
#include "penstock/config/v1/expert.pb.h"

namespace penstock::expert {

// What is told of the models that are served, and of what waits and runs under the names of
// `model_server_gauges`, as it is when it is scraped: schedulers read it many times a second.
class ServedMetrics final : public prometheus::Collectable {
 public:
  // Models beyond these are told together as "other", as in ExpertMetrics.
  static constexpr size_t kMostModels = 1000;

  // INVALID_ARGUMENT names the field.
  static absl::Status Check(const config::v1::ModelServerGauges& names);

  // `names` have passed Check; the others outlive it.
  ServedMetrics(const Executor& executor, const LiveRepository& models,
                const config::v1::ModelServerGauges& names);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  void TellModels(std::vector<prometheus::MetricFamily>& to) const;
  void TellGauges(std::vector<prometheus::MetricFamily>& to) const;

  const Executor& executor_;
  const LiveRepository& models_;
  const config::v1::ModelServerGauges names_;
};

}  // namespace penstock::expert
