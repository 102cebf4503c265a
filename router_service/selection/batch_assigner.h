#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/types/span.h"

namespace penstock::router {

// Requests that are assigned together.
struct BatchProblem {
  static constexpr double kInadmissible = -std::numeric_limits<double>::infinity();

  size_t requests = 0;
  // [requests, experts], larger is better; what is not finite must not run.
  absl::Span<const double> affinity;
  // Requests that each expert takes at most.
  absl::Span<const uint32_t> capacity;

  size_t experts() const { return capacity.size(); }
};

// One expert for each request of a batch, none above its capacity. Not thread-safe: workspaces are
// reused. Deterministic.
class BatchAssigner {
 public:
  static constexpr int32_t kUnassigned = -1;

  virtual ~BatchAssigner() = default;
  // expert[i] of each request; kUnassigned only where capacities and what is admissible leave no
  // way to place one request more.
  virtual void Assign(const BatchProblem& problem, absl::Span<int32_t> expert) = 0;
};

}  // namespace penstock::router
