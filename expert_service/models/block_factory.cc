#include "expert_service/models/block_factory.h"

#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {

absl::StatusOr<std::unique_ptr<Block>> MakeBlock(const config::v1::Block& config,
                                                 BlockTensors& tensors, const ValueShape& in,
                                                 absl::Span<const ValueShape> earlier) {
  using config::v1::Block;
  switch (config.kind_case()) {
    case Block::kLinear:
      return MakeLinear(config.linear(), tensors, in);
    case Block::kRmsNorm:
      return MakeRmsNorm(config.rms_norm(), tensors, in);
    case Block::kGatedMlp:
      return MakeGatedMlp(config.gated_mlp(), tensors, in);
    case Block::kGatedAttention:
      return MakeGatedAttention(config.gated_attention(), tensors, in);
    case Block::kMeanPool:
      return MakeMeanPool(config.mean_pool(), tensors, in);
    case Block::kSoftmax:
      return MakeSoftmax(config.softmax(), tensors, in);
    case Block::kMoe:
      return MakeMoe(config.moe(), tensors, in);
    case Block::kEmbedding:
      return MakeEmbedding(config.embedding(), tensors, in);
    case Block::kLabels:
      return MakeLabels(config.labels(), tensors, in);
    case Block::kIdentity:
      return absl::InvalidArgumentError("identity must be the only block of its model");
    case Block::kPatches:
      return MakePatches(config.patches(), tensors, in);
    case Block::kShiftedViews:
      return MakeShiftedViews(config.shifted_views(), tensors, in);
    case Block::kAveragePool:
      return MakeAveragePool(config.average_pool(), tensors, in);
    case Block::kGatedLinearAttention:
      return MakeGatedLinearAttention(config.gated_linear_attention(), tensors, in);
    case Block::kGatedDelta:
      return MakeGatedDelta(config.gated_delta(), tensors, in);
    case Block::kGmu:
      return MakeGmu(config.gmu(), tensors, in, earlier);
    case Block::kAdaptiveFfn:
      return MakeAdaptiveFfn(config.adaptive_ffn(), tensors, in);
    case Block::kExitHead:
      return MakeExitHead(config.exit_head(), tensors, in);
    case Block::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the block has no kind");
}

}  // namespace penstock::expert
