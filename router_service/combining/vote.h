#pragma once

#include <string>
#include <utility>
#include <vector>

#include "router_service/combining/combiner.h"

namespace penstock::router {

// Vote by weight, or `one_each`: every answer has one. The combined output, if FP32, becomes the
// shares of the votes for each index of the last dimension (a vote goes to an expert's largest
// entry, ties to the lowest index), so its largest entry is the winner. BYTES, integer and BOOL
// outputs take, entry by entry, the value with the most votes, ties to the expert that comes first.
class Vote final : public Combiner {
 public:
  explicit Vote(std::string combined_output, bool one_each = false)
      : combined_output_(std::move(combined_output)), one_each_(one_each) {}
  absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const override;

 private:
  const std::string combined_output_;
  const bool one_each_;
};

}  // namespace penstock::router
