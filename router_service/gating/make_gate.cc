#include "absl/strings/str_cat.h"
#include "kernels/route_topk/route_topk.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/random_gate.h"
#include "router_service/gating/topk_softmax_gate.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> MakeGate(const config::v1::Gate& config,
                                                     const std::vector<std::string>& expert_names,
                                                     size_t feature_dimension) {
  if (expert_names.empty() || expert_names.size() > kernels::kMaxExperts) {
    return absl::InvalidArgumentError(absl::StrCat("gate: the pool has ", expert_names.size(),
                                                   " experts, wanted 1 to ", kernels::kMaxExperts));
  }
  switch (config.policy_case()) {
    case config::v1::Gate::kTopkSoftmax:
    case config::v1::Gate::POLICY_NOT_SET:
      return TopkSoftmaxGate::Create(config.topk_softmax(), expert_names, feature_dimension);
    case config::v1::Gate::kRandom:
      return RandomGate::Create(config.random(), expert_names.size());
  }
  return absl::InvalidArgumentError("gate: unknown policy");
}

}  // namespace penstock::router
