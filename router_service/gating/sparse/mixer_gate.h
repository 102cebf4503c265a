#pragma once

#include <memory>
#include <string>
#include <vector>

#include "router_service/gating/gate.h"

namespace penstock::router {

// MixER as it is served (Nzoyem et al. 2025, arXiv:2502.05335): a linear map whose largest output
// names the one expert. What distinguishes it from the top-k softmax gate is how it is fitted.
class MixerGate {
 public:
  static absl::StatusOr<std::unique_ptr<const Gate>> Create(
      const config::v1::Mixer& config, const std::vector<std::string>& expert_names,
      size_t feature_dimension);
};

}  // namespace penstock::router
