#pragma once

#include <string>
#include <utility>

#include "router_service/combining/combiner.h"

namespace penstock::router {

// y = sum_i g_i y_i of the combined output, in fp32. `mixture`: the y_i are distributions over the
// last dimension, and so is y. The combined output must be FP32.
class WeightedSum final : public Combiner {
 public:
  WeightedSum(std::string combined_output, bool mixture)
      : combined_output_(std::move(combined_output)), mixture_(mixture) {}
  absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const override;

 private:
  const std::string combined_output_;
  const bool mixture_;
};

}  // namespace penstock::router
