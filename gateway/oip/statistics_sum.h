#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/net/caller_rights.h"
#include "common/net/oip/oip_control.h"
#include "inference/grpc_service.pb.h"

namespace penstock::gateway {

// Adds `part` to `total`: counts and durations add up, the last inference is the latest.
void AddStatistics(const inference::ModelStatistics& part, inference::ModelStatistics& total);

// Sums ModelStatistics over several routers and finishes the call when all have answered: with the
// sum if any answered, else with the first error. Thread-safe.
class StatisticsSum {
 public:
  StatisticsSum(size_t parts, CallerRights rights, inference::ModelStatisticsResponse& response,
                ControlDone done);
  void Add(absl::StatusOr<inference::ModelStatisticsResponse> part);

 private:
  Mutex mutex_;
  size_t awaited_ ABSL_GUARDED_BY(mutex_);
  const CallerRights rights_;
  inference::ModelStatisticsResponse& response_ ABSL_GUARDED_BY(mutex_);
  bool any_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status first_error_ ABSL_GUARDED_BY(mutex_);
  ControlDone done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
