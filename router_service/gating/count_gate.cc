#include "router_service/gating/count_gate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/artifact_metadata.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const CountGate>> CountGate::Open(const std::string& path,
                                                                 size_t dimension,
                                                                 absl::string_view features) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, OpenArtifact(path));
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactUse(*file, path, {"count_gate", dimension, features}));
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> bias, file->Floats("count_bias", {-1}));
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> weight,
                            file->Floats("count_weight", {static_cast<int64_t>(bias.size()), -1}));
  if (bias.empty() || weight.size() != bias.size() * dimension) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has ", weight.size(), " weights for ",
                                                   bias.size(), " counts, wanted ", dimension,
                                                   " features each"));
  }
  const auto finite = [](float v) { return std::isfinite(v); };
  if (!std::all_of(weight.begin(), weight.end(), finite) ||
      !std::all_of(bias.begin(), bias.end(), finite)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has weights that are not finite"));
  }
  return std::make_unique<CountGate>(std::move(weight), std::move(bias));
}

size_t CountGate::Count(absl::Span<const float> z) const {
  size_t best = 0;
  double most = 0;
  for (size_t i = 0; i < bias_.size(); ++i) {
    const double logit = std::inner_product(
        z.begin(), z.end(), weight_.begin() + static_cast<std::ptrdiff_t>(i * z.size()),
        static_cast<double>(bias_[i]));
    if (i > 0 && !(logit > most)) continue;
    best = i;
    most = logit;
  }
  return best + 1;
}

}  // namespace penstock::router
