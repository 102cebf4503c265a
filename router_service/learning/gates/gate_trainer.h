#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// What a user may say of a sparse gate's training.
struct GateTrainOptions {
  // Selectors of dselect_k, trees of comet; in [1, 16].
  size_t k = 1;
  // Of activation; IDENTITY wants `temperature`.
  config::v1::ActivationGate::Activation activation = config::v1::ActivationGate::TANH;
  // Of activation: fixed. Unset: learned.
  std::optional<double> temperature;
};

// What gates learn from: training rows only.
struct GateTrainingSet {
  std::vector<std::string> experts;
  size_t dimension = 0;
  std::vector<float> features;  // [rows, dimension], raw
  // How much of a row is each expert's [experts, rows]: sums to 1 over the experts, or 0 where a
  // row teaches nothing.
  std::vector<float> targets;
  std::vector<float> quality;  // [experts, rows], NaN = unknown
  std::vector<double> cost;    // mean of each expert; empty where the table tells none
  std::vector<int> fold;       // [rows]
  uint64_t seed = 1;
  GateTrainOptions options;

  size_t rows() const { return fold.size(); }
};

// A gate's file but for the experts' names.
struct TrainedGate {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
};

// How a gate is called, what it is for, how it is fitted and how it is configured to be served.
// `train` may refuse the set or the options with INVALID_ARGUMENT, and FAILED_PRECONDITION where
// the fit does not come about.
struct GateTrainer {
  const char* name;
  const char* purpose;
  absl::StatusOr<TrainedGate> (*train)(const GateTrainingSet& set);
  config::v1::Gate (*configure)(const std::string& file, const GateTrainOptions& options);
};

// All of them; their names are also the "kind" of their files.
absl::Span<const GateTrainer> GateTrainers();
// Null where there is none of that name.
const GateTrainer* FindGateTrainer(const std::string& name);

absl::StatusOr<TrainedGate> TrainDselectK(const GateTrainingSet& set);
absl::StatusOr<TrainedGate> TrainComet(const GateTrainingSet& set);
absl::StatusOr<TrainedGate> TrainActivation(const GateTrainingSet& set);
absl::StatusOr<TrainedGate> TrainDenseToSparse(const GateTrainingSet& set);
absl::StatusOr<TrainedGate> TrainPhatgoose(const GateTrainingSet& set);
absl::StatusOr<TrainedGate> TrainMixer(const GateTrainingSet& set);

}  // namespace penstock::router
