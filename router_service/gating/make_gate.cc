#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "kernels/route_topk/route_topk.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/random_gate.h"
#include "router_service/gating/sparse/activation_gate.h"
#include "router_service/gating/sparse/comet_gate.h"
#include "router_service/gating/sparse/dense_to_sparse_gate.h"
#include "router_service/gating/sparse/dselect_k_gate.h"
#include "router_service/gating/sparse/mixer_gate.h"
#include "router_service/gating/sparse/phatgoose_gate.h"
#include "router_service/gating/sparse/validate_gate.h"
#include "router_service/gating/topk_softmax_gate.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> MakeGate(const config::v1::Gate& config,
                                                     const std::vector<std::string>& expert_names,
                                                     size_t feature_dimension) {
  if (expert_names.empty() || expert_names.size() > kernels::kMaxExperts) {
    return absl::InvalidArgumentError(absl::StrCat("gate: the pool has ", expert_names.size(),
                                                   " experts, wanted 1 to ", kernels::kMaxExperts));
  }
  PENSTOCK_RETURN_IF_ERROR(ValidateGate("gate", config, expert_names));
  switch (config.policy_case()) {
    case config::v1::Gate::kTopkSoftmax:
    case config::v1::Gate::POLICY_NOT_SET:
      return TopkSoftmaxGate::Create(config.topk_softmax(), expert_names, feature_dimension);
    case config::v1::Gate::kRandom:
      return RandomGate::Create(config.random(), expert_names.size());
    case config::v1::Gate::kDselectK:
      return DselectKGate::Create(config.dselect_k(), expert_names, feature_dimension);
    case config::v1::Gate::kComet:
      return CometGate::Create(config.comet(), expert_names, feature_dimension);
    case config::v1::Gate::kActivation:
      return ActivationGate::Create(config.activation(), expert_names, feature_dimension);
    case config::v1::Gate::kDenseToSparse:
      return DenseToSparseGate::Create(config.dense_to_sparse(), expert_names, feature_dimension);
    case config::v1::Gate::kPhatgoose:
      return PhatgooseGate::Create(config.phatgoose(), expert_names, feature_dimension);
    case config::v1::Gate::kMixer:
      return MixerGate::Create(config.mixer(), expert_names, feature_dimension);
  }
  return absl::InvalidArgumentError("gate: unknown policy");
}

}  // namespace penstock::router
