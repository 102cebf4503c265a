#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensors/safetensors.h"

namespace penstock::router {

// Where each of a pool's experts stands in a trained file, whose metadata "experts" is a JSON array
// of names. INVALID_ARGUMENT names an expert that the file lacks; it may hold more.
absl::StatusOr<std::vector<size_t>> ExpertColumns(const Safetensors& file, absl::string_view path,
                                                  const std::vector<std::string>& expert_names,
                                                  size_t& file_experts);
// The metadata value.
std::string ExpertsMetadata(const std::vector<std::string>& names);

// A linear map per expert, z -> weight z + bias, in the pool's order: tensors weight [E, d] and
// bias [E] (all zero where absent). INVALID_ARGUMENT where d is not `dimension`.
struct LinearColumns {
  std::vector<float> weight;  // [experts, dimension]
  std::vector<float> bias;    // [experts]
  std::vector<size_t> columns;
  size_t file_experts = 0;
};
absl::StatusOr<LinearColumns> ReadLinearColumns(const Safetensors& file, absl::string_view path,
                                                const std::vector<std::string>& expert_names,
                                                size_t dimension);

}  // namespace penstock::router
