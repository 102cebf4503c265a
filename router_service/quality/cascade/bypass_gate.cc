#include "router_service/quality/cascade/bypass_gate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const BypassGate>> BypassGate::Read(const Safetensors& file,
                                                                   absl::string_view path,
                                                                   StageList stages) {
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> weight, file.Floats("bypass_weight", {-1}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> bias, file.Floats("bypass_bias", {1}));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> least, file.Floats("bypass_least", {1}));
  if (stages.experts.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": stages are ", stages.experts.size(), ", wanted 2 for a bypass"));
  }
  const auto finite = [](float v) { return std::isfinite(v); };
  if (!std::all_of(weight.begin(), weight.end(), finite) || !finite(bias[0]) ||
      std::isnan(least[0])) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the bypass is not finite"));
  }
  return std::make_unique<BypassGate>(std::move(stages), std::move(weight), bias[0], least[0]);
}

double BypassGate::PSuffices(absl::Span<const float> z) const {
  const double logit =
      std::inner_product(z.begin(), z.end(), weight_.begin(), static_cast<double>(bias_));
  return 1 / (1 + std::exp(-logit));
}

bool BypassGate::Suffices(const FeatureView& z) const {
  if (!z.known || z.dense.size() != weight_.size()) return false;
  return PSuffices(z.dense) > least_;
}

}  // namespace penstock::router
