#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tensors/infer_message.h"

namespace penstock::router {

// The parameters of one request that the router acts on, checked. Unset means no limit.
struct InferParameters {
  absl::Duration latency_budget = absl::InfiniteDuration();
  std::optional<double> energy_budget_j;
  std::optional<double> min_quality;
  std::string objective;  // "quality", "energy", "latency"; empty: not said
  std::optional<uint32_t> max_experts;
  std::string application_class;
  std::vector<std::string> forced_experts;
  bool explain = false;
};

// Reads the penstock_* parameters and Triton's `timeout` and `sequence_id`. INVALID_ARGUMENT names
// the parameter, what was wanted and what came; an unknown penstock_ name is an error, because a
// typo must not lift a budget. `latency_budget` is the least of penstock_latency_budget_ms and
// `timeout`.
absl::StatusOr<InferParameters> ParseInferParameters(const std::vector<Parameter>& parameters);

}  // namespace penstock::router
