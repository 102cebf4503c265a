#include "router_service/gating/sparse/dselect_k_gate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/weights/softmax.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> DselectKGate::Create(
    const config::v1::DselectK& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const GateFile file,
                            GateFile::Open(config.file(), "dselect_k", expert_names));
  DselectKOptions options;
  options.experts = file.experts();
  PENSTOCK_ASSIGN_OR_RETURN(LinearHeads mix, file.Heads("selectors", {-1}, feature_dimension));
  if (mix.shape[0] < 1) return file.Refused("tensor selectors has none, wanted at least 1");
  options.selectors = static_cast<size_t>(mix.shape[0]);
  PENSTOCK_ASSIGN_OR_RETURN(
      LinearHeads bits,
      file.Heads("bits", {mix.shape[0], static_cast<int64_t>(CodeBits(options.experts))},
                 feature_dimension));
  PENSTOCK_ASSIGN_OR_RETURN(options.width, file.Scalar("width"));
  if (!(options.width > 0)) {
    return file.Refused(absl::StrCat("width is ", options.width, ", wanted above 0"));
  }
  const size_t k = config.has_k() ? config.k() : std::min(options.selectors, expert_names.size());
  auto gate = absl::WrapUnique(new DselectKGate(options, file.columns(), feature_dimension, k));
  gate->bits_ = std::move(bits);
  gate->mix_ = std::move(mix);
  return std::unique_ptr<const Gate>(std::move(gate));
}

void DselectKGate::Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                        absl::Span<double> scores) const {
  absl::InlinedVector<size_t, 64> experts, codes;
  for (size_t i = 0; i < codes_.size(); ++i) {
    if (!Admits(admissible, i)) continue;
    experts.push_back(i);
    codes.push_back(codes_[i]);
  }
  absl::InlinedVector<double, 16> mix(selectors_), u(weights_.bits());
  for (size_t s = 0; s < selectors_; ++s) mix[s] = mix_.Score(s, z);
  Softmax(mix, absl::MakeSpan(mix));
  for (size_t s = 0; s < selectors_; ++s) {
    for (size_t b = 0; b < u.size(); ++b) u[b] = bits_.Score(s * u.size() + b, z);
    double& score = scores[experts[NearestCode(weights_, u, codes)]];
    score = std::log(std::exp(score) + mix[s]);
  }
}

}  // namespace penstock::router
