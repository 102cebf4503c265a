#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "expert_service/execution/executor.h"
#include "expert_service/execution/expert_events.h"
#include "expert_service/metering/energy_meter.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::expert {

// The service's Prometheus metrics; their names appear nowhere else. Thread-safe.
class ExpertMetrics final : public ExpertEvents {
 public:
  // `models`: the label's values; requests for other names count under "other".
  ExpertMetrics(prometheus::Registry& registry, const std::vector<std::string>& models);
  // More values of the label; beyond kMostModels models count under "other", too.
  static constexpr size_t kMostModels = 1000;
  void AddModels(const std::vector<std::string>& models);
  ~ExpertMetrics() override;

  void RequestAnswered(const std::string& model, absl::StatusCode code,
                       absl::Duration latency) override;
  void BatchExecuted(const std::string& model, int64_t rows, int64_t requests,
                     absl::Duration took, absl::Duration cpu) override;
  void RowsEnded(const std::string& model, size_t block, int64_t rows) override;
  void BlocksExecuted(absl::Span<const BlockCost> blocks) override;
  void RequestExecuted(const std::string& model, absl::Duration waited, double joules) override;

  // What is read rather than counted; call it a few times a second. `models[i]` is the name of the
  // meter's owner i.
  void Refresh(const Executor::Load& load, const EnergyMeter& meter,
               const std::vector<std::string>& models);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock::expert
