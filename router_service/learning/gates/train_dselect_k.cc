#include <iterator>
#include <numeric>
#include <utility>

#include "router_service/gating/weights/dselect_k_weights.h"
#include "router_service/learning/gates/gate_fitter.h"
#include "router_service/learning/gates/gate_trainer.h"

namespace penstock::router {

// The selectors start undecided, all their bit scores within a hundredth of the smooth step's
// width.
absl::StatusOr<TrainedGate> TrainDselectK(const GateTrainingSet& set) {
  constexpr double kEntropy[] = {1e-2, 1e-3, 1e-6}, kL2[] = {1e-2, 1e-3, 1e-4};
  constexpr int kIterations = 150;
  const GateFitter fitter(set);
  DselectKOptions options;
  options.experts = set.experts.size();
  options.selectors = set.options.k;
  std::vector<DselectKWeights> candidates;
  for (const double entropy : kEntropy) {
    options.entropy = entropy;
    candidates.emplace_back(options);
  }
  constexpr size_t kLevels = std::size(kL2);
  const auto gate = [&](size_t candidate) -> const GateWeights& {
    return candidates[candidate / kLevels];
  };
  const ChosenFit fit = FitBest(
      fitter, candidates.size() * kLevels, gate, [&](size_t candidate, GateFitter::Part part) {
        std::vector<double> parameters =
            fitter.Start(gate(candidate), 0.01 * options.width, /*sequence=*/0);
        fitter.Fit(part, gate(candidate), kL2[candidate % kLevels], kIterations, {}, parameters);
        return parameters;
      });

  const int64_t k = static_cast<int64_t>(options.selectors);
  const int64_t bits = static_cast<int64_t>(CodeBits(options.experts));
  std::vector<size_t> heads(candidates.front().heads());
  std::iota(heads.begin(), heads.end(), size_t{0});
  const absl::Span<const size_t> of_bits =
      absl::MakeConstSpan(heads).first(static_cast<size_t>(k * bits));
  TrainedGate trained;
  trained.tensors = fitter.HeadTensors("bits", {k, bits}, of_bits, fit.parameters);
  for (SafetensorsTensor& tensor : fitter.HeadTensors(
           "selectors", {k}, absl::MakeConstSpan(heads).subspan(of_bits.size()), fit.parameters)) {
    trained.tensors.push_back(std::move(tensor));
  }
  trained.tensors.push_back({"width", {1}, {static_cast<float>(options.width)}});
  return trained;
}

}  // namespace penstock::router
