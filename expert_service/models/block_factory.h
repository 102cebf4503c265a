#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "expert_service/models/block.h"
#include "expert_service/models/block_tensors.h"
#include "expert_service/models/value.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// The block that `config` describes, for values of shape `in`, of a row of the model's input, after
// blocks that gave `earlier`. Checks every shape.
absl::StatusOr<std::unique_ptr<Block>> MakeBlock(const config::v1::Block& config,
                                                 BlockTensors& tensors, const ValueShape& in,
                                                 absl::Span<const ValueShape> earlier);

}  // namespace penstock::expert
