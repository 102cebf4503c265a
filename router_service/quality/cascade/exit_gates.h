#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/quality/cascade/stage_policy.h"

namespace penstock::router {

// How spread an answer's distribution p is: max p, entropy, top1 - top2, entropy of p^(1/2)
// renormalised. An outcome table tells the two largest probabilities only, so p is taken as
// (p_1, p_2, the rest), here as in training.
std::array<double, 4> UncertaintyFeatures(const AnswerConfidence& confidence);

// P_l = max(0, min(g_l, 1 - sum_{j<l} g_j)), the last stage gets what is left; and the chance
// q_l = P_l / prod_{j<l}(1 - q_j) in [0, 1] that stage l lets go of a request that came to it.
// JEI-DNN: Regol, Chataoui, Coates 2024, arXiv:2310.09163.
struct ExitDistribution {
  std::vector<double> p;  // [gates + 1]
  std::vector<double> q;  // [gates]
};
ExitDistribution ExitDistributionOf(absl::Span<const double> gates);

// One gate a stage but the last, sigma(w . features + b), the mean over the rows: the first stage
// with q >= 1/2 answers.
class ExitGates final : public StagePolicy {
 public:
  static constexpr size_t kParameters = 5;  // four features, then the offset
  // weight [stages - 1, kParameters]
  ExitGates(StageList stages, std::vector<float> weight)
      : stages_(std::move(stages)), weight_(std::move(weight)) {}

  // Tensor exit_weight; metadata "stages".
  static absl::StatusOr<std::unique_ptr<const ExitGates>> Read(const Safetensors& file,
                                                               absl::string_view path,
                                                               StageList stages);
  static double GateOf(absl::Span<const float> weight, absl::Span<const AnswerConfidence> rows);
  // One step of ExitDistributionOf: whether q >= 1/2.
  static bool Exits(double gate, ExitState& state);

  absl::Span<const size_t> After(size_t standing) const override { return stages_.After(standing); }
  bool Stands(const StandingAnswer& answer, ExitState& state) const override;
  absl::string_view Rule() const override { return "its exit gate does not let go"; }

 private:
  const StageList stages_;
  const std::vector<float> weight_;
};

}  // namespace penstock::router
