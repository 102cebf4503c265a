#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "expert_service/models/block.h"
#include "expert_service/models/block_tensors.h"
#include "expert_service/models/value.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// One maker a block, as model.proto documents it; MakeBlock chooses among them.
using BlockOr = absl::StatusOr<std::unique_ptr<Block>>;

BlockOr MakeLinear(const config::v1::Linear&, BlockTensors&, const ValueShape& in);
BlockOr MakeRmsNorm(const config::v1::RmsNorm&, BlockTensors&, const ValueShape& in);
BlockOr MakeGatedMlp(const config::v1::GatedMlp&, BlockTensors&, const ValueShape& in);
BlockOr MakeGatedAttention(const config::v1::GatedAttention&, BlockTensors&, const ValueShape& in);
BlockOr MakeMeanPool(const config::v1::MeanPool&, BlockTensors&, const ValueShape& in);
BlockOr MakeSoftmax(const config::v1::Softmax&, BlockTensors&, const ValueShape& in);
BlockOr MakeMoe(const config::v1::Moe&, BlockTensors&, const ValueShape& in);
BlockOr MakeEmbedding(const config::v1::Embedding&, BlockTensors&, const ValueShape& in);
BlockOr MakeLabels(const config::v1::Labels&, BlockTensors&, const ValueShape& in);
BlockOr MakePatches(const config::v1::Patches&, BlockTensors&, const ValueShape& in);
BlockOr MakeShiftedViews(const config::v1::ShiftedViews&, BlockTensors&, const ValueShape& in);
BlockOr MakeAveragePool(const config::v1::AveragePool&, BlockTensors&, const ValueShape& in);

// The checks that several makers share. INVALID_ARGUMENT says what was wanted and what came.
absl::Status WantFloats(const ValueShape& in);
absl::Status WantPositions(const ValueShape& in);
// A flat picture: [rows, height * width].
absl::Status WantImage(const ValueShape& in, int64_t height, int64_t width);

}  // namespace penstock::expert
