#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/weights/gate_weights.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/linear/linear_design.h"

namespace penstock::router {

// Fits the linear heads of a gate to a training set: features standardised, one fold aside to
// choose by. Parameters are [heads, dimension + 1] with the bias last, then the gate's scalars.
class GateFitter {
 public:
  explicit GateFitter(const GateTrainingSet& set);

  enum class Part { kFitted, kChosenBy, kAll };  // all but one fold; that fold; both

  // Mean over the rows that teach something of -log(0.001 + sum_i g_i r_i), r_i the worth of expert
  // i's answer over that of the row's best: the mixture's likelihood, which no saturated gate makes
  // infinite. To this come the gate's penalty and l2/2 |W|^2. `offsets` [heads, rows of the part]
  // are added to the heads; may be empty.
  double Loss(Part part, const GateWeights& gate, double l2, absl::Span<const float> offsets,
              const std::vector<double>& parameters, std::vector<double>& gradient) const;
  void Fit(Part part, const GateWeights& gate, double l2, int iterations,
           absl::Span<const float> offsets, std::vector<double>& parameters) const;
  // Mean r of the expert with the largest weight, in [0, 1].
  double Worth(Part part, const GateWeights& gate, const std::vector<double>& parameters) const;
  size_t Rows(Part part) const { return Of(part).rows.size(); }

  // All 0; heads of random size up to `spread` where `spread` is above 0.
  std::vector<double> Start(const GateWeights& gate, double spread, uint64_t sequence) const;
  // Heads `first` and following `count` for raw features, as tensors `name` [shape..., dimension]
  // and `name`_bias [shape...].
  std::vector<SafetensorsTensor> HeadTensors(const std::string& name,
                                             const std::vector<int64_t>& shape,
                                             absl::Span<const size_t> heads,
                                             const std::vector<double>& parameters) const;

 private:
  struct Design {
    Design(const GateTrainingSet& set, absl::Span<const float> standard, std::vector<size_t> taken);
    std::vector<size_t> rows;
    LinearDesign linear;
    std::vector<double> worth;  // [rows, experts]
  };
  const Design& Of(Part part) const { return designs_[static_cast<size_t>(part)]; }

  const GateTrainingSet& set_;
  const Standardisation standardisation_;
  std::vector<Design> designs_;
};

// Fits every candidate to kFitted, takes the one of the largest Worth on kChosenBy (the first of
// equals) and fits it to kAll. `fit(candidate, part)` returns its parameters, `gate(candidate)`
// what they are for.
struct ChosenFit {
  size_t candidate = 0;
  std::vector<double> parameters;
};
ChosenFit FitBest(const GateFitter& fitter, size_t candidates,
                  const std::function<const GateWeights&(size_t)>& gate,
                  const std::function<std::vector<double>(size_t, GateFitter::Part)>& fit);

}  // namespace penstock::router
