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
#include "router_service/quality/artifact_metadata.h"

namespace penstock::router {
namespace {

const std::string& FileOf(const config::v1::Gate& config) {
  static const std::string none;
  switch (config.policy_case()) {
    case config::v1::Gate::kTopkSoftmax:
      return config.topk_softmax().file();
    case config::v1::Gate::kDselectK:
      return config.dselect_k().file();
    case config::v1::Gate::kComet:
      return config.comet().file();
    case config::v1::Gate::kActivation:
      return config.activation().file();
    case config::v1::Gate::kDenseToSparse:
      return config.dense_to_sparse().file();
    case config::v1::Gate::kPhatgoose:
      return config.phatgoose().file();
    case config::v1::Gate::kMixer:
      return config.mixer().file();
    case config::v1::Gate::kRandom:
    case config::v1::Gate::POLICY_NOT_SET:
      break;
  }
  return none;
}

// The other gates want their kind where they read their file.
absl::Status CheckFileOf(const config::v1::Gate& config, size_t dimension,
                         absl::string_view features) {
  const std::string& path = FileOf(config);
  if (path.empty()) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  const absl::string_view kind = config.has_topk_softmax() ? "topk_softmax" : "";
  return CheckArtifactUse(*file, path, {kind, dimension, features});
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Gate>> MakeGate(const config::v1::Gate& config,
                                                     const std::vector<std::string>& expert_names,
                                                     size_t feature_dimension,
                                                     absl::string_view features) {
  if (expert_names.empty() || expert_names.size() > kernels::kMaxExperts) {
    return absl::InvalidArgumentError(absl::StrCat("gate: the pool has ", expert_names.size(),
                                                   " experts, wanted 1 to ", kernels::kMaxExperts));
  }
  PENSTOCK_RETURN_IF_ERROR(ValidateGate("gate", config, expert_names));
  PENSTOCK_RETURN_IF_ERROR(CheckFileOf(config, feature_dimension, features));
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
