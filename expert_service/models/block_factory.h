#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "expert_service/models/block.h"
#include "expert_service/models/block_tensors.h"
#include "expert_service/models/value.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// The block that `config` describes, for values of shape `in` (rows unread). Checks every shape.
absl::StatusOr<std::unique_ptr<Block>> MakeBlock(const config::v1::Block& config,
                                                 BlockTensors& tensors, const ValueShape& in);

}  // namespace penstock::expert
