#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensors/safetensors.h"
#include "expert_service/models/model.h"

namespace penstock::expert {

// How far a model's FP32 outputs (before a softmax) move when its weights are stored otherwise: the
// mean square of the difference over the mean square of what they were.
class OutputError {
 public:
  // inputs: [rows, dimension] of the model's one FP32 input. INVALID_ARGUMENT where the model takes
  // another, has no FP32 output, or there are no whole rows.
  static absl::StatusOr<OutputError> Create(const config::v1::Model& config,
                                            const Safetensors& file,
                                            const std::vector<float>& inputs);

  absl::StatusOr<double> Of(const Safetensors& changed) const;

 private:
  OutputError() = default;
  absl::StatusOr<std::vector<float>> Outputs(const Safetensors& file) const;

  config::v1::Model config_;
  std::vector<ModelInputs> batches_;
  std::vector<size_t> wanted_;
  std::vector<float> before_;
  double square_ = 0;
};

}  // namespace penstock::expert
