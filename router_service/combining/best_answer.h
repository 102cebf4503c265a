#pragma once

#include "router_service/combining/combiner.h"

namespace penstock::router {

// The answer with the largest weight, as it is.
class BestAnswer final : public Combiner {
 public:
  absl::StatusOr<std::vector<Tensor>> Combine(
      absl::Span<const ExpertAnswer> answers) const override;
};

}  // namespace penstock::router
