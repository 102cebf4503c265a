#include <iterator>
#include <utility>

#include "common/random.h"
#include "router_service/gating/weights/comet_weights.h"
#include "router_service/learning/gates/gate_fitter.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/gates/leaf_search.h"

namespace penstock::router {
namespace {

// Alternates between the local search for the experts' leaves, by the loss of the fold that the
// parameters are not fitted to, and the fit.
void SearchAndFit(const GateFitter& fitter, double l2, uint64_t seed, CometOptions& options,
                  std::vector<double>& parameters) {
  constexpr int kEpochs = 3, kIterations = 60;
  constexpr size_t kSwaps = 200;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    CounterRandom random(seed, 100 + static_cast<uint64_t>(epoch));
    std::vector<double> ignored;
    CometOptions placed = options;
    placed.entropy = 0;
    const LeafSearch search = SearchLeaves(
        options.experts, kSwaps, random,
        [&](const std::vector<size_t>& leaf_expert) {
          placed.leaf_expert = leaf_expert;
          return fitter.Loss(GateFitter::Part::kChosenBy, CometWeights(placed), 0, {}, parameters,
                             ignored);
        },
        options.leaf_expert);
    if (search.accepted == 0) return;
    fitter.Fit(GateFitter::Part::kFitted, CometWeights(options), l2, kIterations, {}, parameters);
  }
}

}  // namespace

absl::StatusOr<TrainedGate> TrainComet(const GateTrainingSet& set) {
  constexpr double kEntropy[] = {1e-2, 1e-3, 0}, kL2[] = {1e-2, 1e-3, 1e-4};
  constexpr int kIterations = 150;
  constexpr double kSpread = 0.01;
  constexpr size_t kLevels = std::size(kL2);
  const GateFitter fitter(set);
  const size_t n = set.experts.size(), trees = set.options.k;
  std::vector<CometWeights> candidates;
  for (const double entropy : kEntropy) {
    candidates.emplace_back(CometOptions{n, trees, 1, entropy, LeavesInOrder(n, trees)});
  }
  const auto gate = [&](size_t candidate) -> const GateWeights& {
    return candidates[candidate / kLevels];
  };
  const auto started = [&](size_t candidate, GateFitter::Part part) {
    std::vector<double> parameters = fitter.Start(gate(candidate), kSpread, /*sequence=*/1);
    fitter.Fit(part, gate(candidate), kL2[candidate % kLevels], kIterations, {}, parameters);
    return parameters;
  };
  const size_t best = FitBest(fitter, candidates.size() * kLevels, gate, started).candidate;
  const double l2 = kL2[best % kLevels];
  CometOptions options = candidates[best / kLevels].options();
  std::vector<double> parameters = started(best, GateFitter::Part::kFitted);
  SearchAndFit(fitter, l2, set.seed, options, parameters);
  const CometWeights placed(options);
  fitter.Fit(GateFitter::Part::kAll, placed, l2, kIterations, {}, parameters);

  std::vector<size_t> nodes, leaves;
  for (size_t head = 0; head < placed.heads(); ++head) {
    (head % placed.TreeHeads() < n - 1 ? nodes : leaves).push_back(head);
  }
  const int64_t k = static_cast<int64_t>(trees), experts = static_cast<int64_t>(n);
  TrainedGate trained;
  trained.tensors = fitter.HeadTensors("nodes", {k, experts - 1}, nodes, parameters);
  for (SafetensorsTensor& tensor : fitter.HeadTensors("leaves", {k, experts}, leaves, parameters)) {
    trained.tensors.push_back(std::move(tensor));
  }
  trained.tensors.push_back(
      {"leaf_expert", {k, experts}, {options.leaf_expert.begin(), options.leaf_expert.end()}});
  trained.tensors.push_back({"width", {1}, {static_cast<float>(options.width)}});
  return trained;
}

}  // namespace penstock::router
