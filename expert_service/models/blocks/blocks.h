#pragma once

#include <initializer_list>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "expert_service/models/block.h"
#include "expert_service/models/block_tensors.h"
#include "expert_service/models/value.h"
#include "kernels/gated_mlp/gated_mlp.h"
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
BlockOr MakeGatedLinearAttention(const config::v1::GatedLinearAttention&, BlockTensors&,
                                 const ValueShape& in);
BlockOr MakeGatedDelta(const config::v1::GatedDelta&, BlockTensors&, const ValueShape& in);
// `earlier`: the values of the blocks before it.
BlockOr MakeGmu(const config::v1::Gmu&, BlockTensors&, const ValueShape& in,
                absl::Span<const ValueShape> earlier);
BlockOr MakeAdaptiveFfn(const config::v1::AdaptiveFfn&, BlockTensors&, const ValueShape& in);
BlockOr MakeExitHead(const config::v1::ExitHead&, BlockTensors&, const ValueShape& in);

// The checks that several makers share. INVALID_ARGUMENT says what was wanted and what came.
absl::Status WantFloats(const ValueShape& in);
absl::Status WantPositions(const ValueShape& in);
// A flat picture: [rows, height * width].
absl::Status WantImage(const ValueShape& in, int64_t height, int64_t width);
// `heads`, of a field, divides the channels of each tensor.
absl::Status WantHeads(absl::string_view field, int64_t heads,
                       std::initializer_list<std::pair<absl::string_view, int64_t>> tensors);
absl::StatusOr<kernels::Activation> ActivationOf(config::v1::Activation activation);

}  // namespace penstock::expert
