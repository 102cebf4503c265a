#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensors/safetensors.h"
#include "expert_service/importing/checkpoint.h"
#include "expert_service/importing/hf_config.h"

namespace penstock::expert {

// A gated MLP's matrices where they stand in a checkpoint.
struct ExpertTensors {
  const Safetensors::Entry* gate = nullptr;  // [f, d]
  const Safetensors::Entry* up = nullptr;    // [f, d]
  const Safetensors::Entry* down = nullptr;  // [d, f]
};

struct MoeLayer {
  int64_t layer = 0;
  const Safetensors::Entry* router = nullptr;  // [experts, d]
  std::vector<ExpertTensors> experts;          // all of one dtype
  std::optional<ExpertTensors> shared;
  const Safetensors::Entry* shared_weight = nullptr;  // [1, d], where there is a shared expert
  const Safetensors::Entry* norm = nullptr;           // [d], where it was asked for
};

// The tensors of a layer that has experts, each of the shape that the configuration asks for and of
// a type that models are stored in. INVALID_ARGUMENT lists all that are missing, otherwise than
// wanted, or in the layer's block without a place there.
absl::StatusOr<MoeLayer> FindMoeLayer(const HfMoe& moe, Checkpoint& checkpoint, int64_t layer,
                                      bool norm);

}  // namespace penstock::expert
