#include "router_service/quality/cascade/exit_gates.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

// One step of the exit distribution: P_l in `mass`, q_l as the result.
double Step(double gate, ExitState& state, double& mass) {
  mass = std::isnan(gate) ? 0 : std::max(0.0, std::min(gate, 1 - state.used));
  const double q = state.survived > 0 ? std::clamp(mass / state.survived, 0.0, 1.0) : 1;
  state.survived *= 1 - q;
  // A gate that is not a number lets go of nothing, and takes none of the mass.
  if (!std::isnan(gate)) state.used += gate;
  return q;
}

double Entropy(const std::array<double, 3>& p) {
  double entropy = 0;
  for (const double share : p) {
    if (share > 0) entropy -= share * std::log(share);
  }
  return entropy;
}

}  // namespace

std::array<double, 4> UncertaintyFeatures(const AnswerConfidence& confidence) {
  const double first = std::clamp<double>(confidence.first, 0, 1);
  const double second = std::clamp<double>(confidence.second, 0, 1 - first);
  std::array<double, 3> p = {first, second, std::max(0.0, 1 - first - second)};
  const double entropy = Entropy(p);
  double sum = 0;
  for (double& share : p) sum += share = std::sqrt(share);
  for (double& share : p) share /= sum;
  return {first, entropy, first - second, Entropy(p)};
}

ExitDistribution ExitDistributionOf(absl::Span<const double> gates) {
  ExitDistribution exits;
  ExitState state;
  double left = 1;
  for (const double gate : gates) {
    double mass = 0;
    exits.q.push_back(Step(gate, state, mass));
    exits.p.push_back(mass);
    left -= mass;
  }
  exits.p.push_back(std::max(0.0, left));
  return exits;
}

absl::StatusOr<std::unique_ptr<const ExitGates>> ExitGates::Read(const Safetensors& file,
                                                                 absl::string_view path,
                                                                 StageList stages) {
  const int64_t gates = static_cast<int64_t>(stages.experts.size()) - 1;
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<float> weight,
                            file.Floats("exit_weight", {gates, static_cast<int64_t>(kParameters)}));
  if (!std::all_of(weight.begin(), weight.end(), [](float v) { return std::isfinite(v); })) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": exit_weight is not finite"));
  }
  return std::make_unique<ExitGates>(std::move(stages), std::move(weight));
}

double ExitGates::GateOf(absl::Span<const float> weight, absl::Span<const AnswerConfidence> rows) {
  double sum = 0;
  for (const AnswerConfidence& row : rows) {
    const std::array<double, 4> f = UncertaintyFeatures(row);
    double logit = weight[f.size()];
    for (size_t i = 0; i < f.size(); ++i) logit += weight[i] * f[i];
    sum += 1 / (1 + std::exp(-logit));
  }
  return sum / static_cast<double>(rows.size());
}

bool ExitGates::Exits(double gate, ExitState& state) {
  double mass = 0;
  return Step(gate, state, mass) >= 0.5;
}

bool ExitGates::Stands(const StandingAnswer& answer, ExitState& state) const {
  const size_t at = stages_.PlaceOf(answer.expert) * kParameters;
  return Exits(GateOf(absl::MakeConstSpan(weight_).subspan(at, kParameters), answer.rows), state);
}

}  // namespace penstock::router
