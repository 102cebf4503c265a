#pragma once

#include <cstdint>
#include <vector>

#include "expert_service/models/model.h"

namespace inference {
class ModelConfig;
class ModelMetadataResponse;
}  // namespace inference

namespace penstock::expert {

// A contract as OIP's metadata and as Triton's configuration show it.
void DescribeMetadata(const Model& model, const std::vector<int64_t>& versions,
                      inference::ModelMetadataResponse& metadata);
void DescribeConfig(const Model& model, int workers, inference::ModelConfig& config);

}  // namespace penstock::expert
