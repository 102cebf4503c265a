#include "router_service/gating/sparse/activation_gate.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const Gate>> ActivationGate::Create(
    const config::v1::ActivationGate& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const GateFile file,
                            GateFile::Open(config.file(), "activation", expert_names));
  const std::string& wanted = config::v1::ActivationGate::Activation_Name(config.activation());
  if (file.Metadata("activation") != wanted) {
    return file.Refused(absl::StrCat("was trained with activation ", file.Metadata("activation"),
                                     ", but activation.activation is ", wanted));
  }
  const int64_t n = static_cast<int64_t>(file.experts());
  PENSTOCK_ASSIGN_OR_RETURN(double tau, file.Scalar("tau"));
  if (config.has_temperature()) tau = config.temperature();
  if (!(tau > 0)) return file.Refused(absl::StrCat("tau is ", tau, ", wanted above 0"));
  auto gate = absl::WrapUnique(new ActivationGate(expert_names.size(), feature_dimension,
                                                  config.has_k() ? config.k() : 1,
                                                  config.activation(), tau));
  PENSTOCK_ASSIGN_OR_RETURN(gate->linear_, file.Heads("linear", {n}, feature_dimension));
  PENSTOCK_ASSIGN_OR_RETURN(gate->bias_, file.Tensor("bias", {n}));
  gate->columns_ = file.columns();
  return std::unique_ptr<const Gate>(std::move(gate));
}

void ActivationGate::Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                          absl::Span<double> scores) const {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!Admits(admissible, i)) continue;
    const size_t column = columns_[i];
    scores[i] = (Activate(activation_, linear_.Score(column, z)) + bias_[column]) / tau_;
  }
}

}  // namespace penstock::router
