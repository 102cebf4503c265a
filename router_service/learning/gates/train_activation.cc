#include <iterator>
#include <numeric>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "router_service/gating/weights/activation_weights.h"
#include "router_service/learning/gates/gate_fitter.h"
#include "router_service/learning/gates/gate_trainer.h"

namespace penstock::router {

absl::StatusOr<TrainedGate> TrainActivation(const GateTrainingSet& set) {
  constexpr double kL2[] = {1e-1, 1e-2, 1e-3, 1e-4};
  constexpr int kIterations = 200;
  const std::optional<double>& fixed = set.options.temperature;
  if (set.options.activation == config::v1::ActivationGate::IDENTITY && !fixed) {
    return absl::InvalidArgumentError(
        "activation is IDENTITY, wanted TANH, SIGMOID or GELU, or a temperature beside it: scaling "
        "a "
        "linear gate and its learned temperature alike changes nothing, so that neither can be "
        "estimated");
  }
  if (fixed && !(*fixed > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("temperature is ", *fixed, ", wanted above 0"));
  }
  const GateFitter fitter(set);
  const size_t n = set.experts.size();
  const ActivationWeights gate(n, set.options.activation, fixed);
  const ChosenFit fit = FitBest(
      fitter, std::size(kL2), [&](size_t) -> const GateWeights& { return gate; },
      [&](size_t candidate, GateFitter::Part part) {
        std::vector<double> parameters = fitter.Start(gate, 0, /*sequence=*/2);
        if (!fixed) parameters.back() = ActivationWeights::RawTemperature(1);
        fitter.Fit(part, gate, kL2[candidate], kIterations, {}, parameters);
        return parameters;
      });
  const absl::Span<const double> scalars = absl::MakeConstSpan(fit.parameters).last(gate.scalars());
  const int64_t experts = static_cast<int64_t>(n);
  std::vector<size_t> heads(n);
  std::iota(heads.begin(), heads.end(), size_t{0});
  TrainedGate trained;
  trained.tensors = fitter.HeadTensors("linear", {experts}, heads, fit.parameters);
  trained.tensors.push_back(
      {"bias", {experts}, {scalars.begin(), scalars.begin() + static_cast<std::ptrdiff_t>(n)}});
  trained.tensors.push_back({"tau", {1}, {static_cast<float>(gate.Temperature(scalars))}});
  trained.metadata["activation"] =
      config::v1::ActivationGate::Activation_Name(set.options.activation);
  trained.metadata["temperature"] = fixed ? "fixed" : "learned";
  return trained;
}

}  // namespace penstock::router
