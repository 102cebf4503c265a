#include "expert_service/quantization/output_error.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {
namespace {

constexpr char kFileName[] = "model.safetensors";

absl::StatusOr<std::shared_ptr<const Model>> Load(const config::v1::Model& config,
                                                  const Safetensors& file) {
  return Model::Create(config, config.name(), 1, &file, kFileName);
}

// The outputs measured at, FP32 all: before a softmax, whose saturated answers tell nothing.
config::v1::Model Measured(const config::v1::Model& config) {
  config::v1::Model measured = config;
  measured.clear_outputs();
  for (config::v1::TensorSpec output : config.outputs()) {
    if (output.datatype() != "FP32" || config.blocks().empty()) continue;
    int block = output.has_block() ? output.block() : config.blocks_size() - 1;
    while (block > 0 && block < config.blocks_size() && config.blocks(block).has_softmax()) --block;
    output.set_block(block);
    *measured.add_outputs() = output;
  }
  return measured;
}

}  // namespace

absl::StatusOr<OutputError> OutputError::Create(const config::v1::Model& config,
                                                const Safetensors& file,
                                                const std::vector<float>& inputs) {
  OutputError error;
  error.config_ = Measured(config);
  if (error.config_.outputs().empty()) {
    return absl::InvalidArgumentError("inputs: the model has no FP32 output to measure at");
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Load(error.config_, file));
  const Contract& contract = model->contract();
  const bool fits = contract.has_rows() && contract.inputs.size() == 1 &&
                    contract.inputs[0].datatype == DataType::kFp32 &&
                    contract.inputs[0].shape.size() == 1 && contract.inputs[0].shape[0] > 0;
  if (!fits) {
    return absl::InvalidArgumentError(
        "inputs: the model must take rows of one FP32 vector of a fixed size to measure on");
  }
  const int64_t dimension = contract.inputs[0].shape[0];
  const int64_t rows = static_cast<int64_t>(inputs.size()) / dimension;
  if (rows < 1 || rows * dimension != static_cast<int64_t>(inputs.size())) {
    return absl::InvalidArgumentError(absl::StrCat("inputs: ", inputs.size(),
                                                   " numbers are no whole rows of ", dimension));
  }
  for (size_t i = 0; i < contract.outputs.size(); ++i) error.wanted_.push_back(i);
  for (int64_t first = 0; first < rows; first += contract.max_rows) {
    const int64_t count = std::min(contract.max_rows, rows - first);
    const absl::Span<const float> part(inputs.data() + first * dimension,
                                       static_cast<size_t>(count * dimension));
    PENSTOCK_ASSIGN_OR_RETURN(
        ModelInputs accepted,
        model->Accept({FloatTensor(contract.inputs[0].name, {count, dimension}, part)}));
    error.batches_.push_back(std::move(accepted));
  }
  PENSTOCK_ASSIGN_OR_RETURN(error.before_, error.Outputs(file));
  for (const float value : error.before_) {
    error.square_ += static_cast<double>(value) * static_cast<double>(value);
  }
  if (!(error.square_ > 0)) {
    return absl::InvalidArgumentError("inputs: the model's outputs are not finite, or all 0");
  }
  return error;
}

absl::StatusOr<std::vector<float>> OutputError::Outputs(const Safetensors& file) const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model, Load(config_, file));
  Arena arena;
  std::vector<float> all;
  for (const ModelInputs& inputs : batches_) {
    std::vector<Tensor> outputs;
    const ModelCall call = {&inputs, wanted_, &outputs};
    PENSTOCK_RETURN_IF_ERROR(model->Run({&call, 1}, arena));
    for (const Tensor& tensor : outputs) {
      PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> values, ToFloats(tensor));
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

absl::StatusOr<double> OutputError::Of(const Safetensors& changed) const {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> after, Outputs(changed));
  double difference = 0;
  for (size_t i = 0; i < before_.size(); ++i) {
    const double d = static_cast<double>(after[i]) - static_cast<double>(before_[i]);
    difference += d * d;
  }
  return difference / square_;
}

}  // namespace penstock::expert
