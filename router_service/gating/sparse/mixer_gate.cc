#include "router_service/gating/sparse/mixer_gate.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/topk_softmax_gate.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> MixerGate::Create(
    const config::v1::Mixer& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file,
                            OpenArtifact(config.file()));
  const auto kind = file->metadata().find("kind");
  if (kind == file->metadata().end() || kind->second != "mixer") {
    return absl::InvalidArgumentError(
        absl::StrCat(config.file(), ": metadata \"kind\" is \"",
                     kind == file->metadata().end() ? "" : kind->second, "\", wanted \"mixer\""));
  }
  return TopkSoftmaxGate::FromTensors(*file, config.file(), expert_names, feature_dimension, 1);
}

}  // namespace penstock::router
