#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"
#include "expert_service/models/model.h"
#include "expert_service/quantization/weight_units.h"

namespace penstock::expert {

struct QuantizeOptions {
  // Of every matrix; with a budget, the format that the choice is compared with.
  kernels::WeightFormat format = kernels::WeightFormat::kInt4;
  // Inputs a scale; unset: the largest of 128, 64 and 32 that divides the inputs, else all of them.
  std::optional<int64_t> group;
  // Bytes that codes and scales of all matrices may take together. Unset: `format` throughout.
  std::optional<int64_t> budget_bytes;
  // Rows [rows, dimension] of the model's one FP32 input, on which errors are measured; empty: they
  // are told from the weights alone.
  std::vector<float> inputs;
  // Called with how much of the measuring is done, in [0, 1].
  std::function<void(double)> progress;
};

struct QuantizedUnit {
  WeightUnit unit;
  UnitFormat stored;
  int64_t bytes = 0;
  // ||W' - W|| / ||W||, Frobenius.
  double weight_error = 0;
  // Mean square of what this unit alone changes in the model's outputs, over their own mean square;
  // unset without inputs. An expert that no input reaches has 0.
  std::optional<double> output_error;
};

struct QuantizedModel {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<QuantizedUnit> units;
  int64_t bytes = 0;         // of all matrices
  int64_t weights = 0;       // in them
  int64_t bytes_before = 0;  // as the file had them
  // The same measure of the whole quantised model.
  std::optional<double> output_error;
};

// Stores a model's matrices in fewer bits. With a budget the bits of each matrix of each expert are
// chosen, among ternary, int4, int8 and as stored, by what the matrix does to the model's answers
// (sensitivity and use in one: QuantMoE-Bench, arXiv:2406.08155, asks for both).
// INVALID_ARGUMENT and FAILED_PRECONDITION name what was wanted and what there is.
absl::StatusOr<QuantizedModel> QuantizeModel(const config::v1::Model& config,
                                             const Safetensors& file,
                                             const QuantizeOptions& options);

}  // namespace penstock::expert
