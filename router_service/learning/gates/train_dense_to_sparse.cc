#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "common/random.h"
#include "router_service/gating/weights/active_softmax.h"
#include "router_service/learning/gates/gate_fitter.h"
#include "router_service/learning/gates/gate_trainer.h"

namespace penstock::router {
namespace {

constexpr double kTheta = 0.001;
constexpr int kStages = 8;
const TemperatureSchedule kSchedule = {TemperatureSchedule::Shape::kExponential, 1.0, 0.5, kStages};

// Gumbel draws [heads, rows], so that every expert is tried while the temperature is high.
std::vector<float> Noise(size_t heads, size_t rows, uint64_t seed, int stage) {
  CounterRandom random(seed, 200 + static_cast<uint64_t>(stage));
  std::vector<float> noise(heads * rows);
  for (float& value : noise) {
    value = static_cast<float>(-std::log(-std::log(std::max(random.Uniform(), 1e-12))));
  }
  return noise;
}

}  // namespace

// Stage by stage to a lower temperature, with noise, and at the last temperature without.
absl::StatusOr<TrainedGate> TrainDenseToSparse(const GateTrainingSet& set) {
  constexpr double kL2[] = {1e-1, 1e-2, 1e-3, 1e-4};
  constexpr int kIterations = 10, kLastIterations = 150;
  const GateFitter fitter(set);
  const size_t n = set.experts.size();
  const ActiveSoftmaxWeights served(n, kSchedule.At(kStages), kTheta);
  const ChosenFit fit = FitBest(
      fitter, std::size(kL2), [&](size_t) -> const GateWeights& { return served; },
      [&](size_t candidate, GateFitter::Part part) {
        std::vector<double> parameters = fitter.Start(served, 0, /*sequence=*/3);
        for (int stage = 0; stage < kStages; ++stage) {
          const ActiveSoftmaxWeights gate(n, kSchedule.At(stage), kTheta);
          fitter.Fit(part, gate, kL2[candidate], kIterations,
                     Noise(n, fitter.Rows(part), set.seed, stage), parameters);
        }
        fitter.Fit(part, served, kL2[candidate], kLastIterations, {}, parameters);
        return parameters;
      });
  std::vector<size_t> heads(n);
  std::iota(heads.begin(), heads.end(), size_t{0});
  const int64_t experts = static_cast<int64_t>(n);
  TrainedGate trained;
  trained.tensors = fitter.HeadTensors("linear", {experts}, heads, fit.parameters);
  trained.tensors.push_back({"tau", {1}, {static_cast<float>(kSchedule.At(kStages))}});
  const bool costs = !set.cost.empty() && std::all_of(set.cost.begin(), set.cost.end(),
                                                      [](double cost) { return cost > 0; });
  if (costs) {
    trained.tensors.push_back({"cost", {experts}, {set.cost.begin(), set.cost.end()}});
  }
  return trained;
}

}  // namespace penstock::router
