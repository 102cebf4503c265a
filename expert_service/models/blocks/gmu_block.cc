#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/blocks/scratch_parts.h"
#include "expert_service/models/blocks/surround.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/gmu/gmu.h"

namespace penstock::expert {
namespace {

class GmuBlock final : public Block {
 public:
  GmuBlock(size_t memory_block, Surround surround, kernels::PackedLinear in,
           kernels::PackedLinear out)
      : memory_block_(memory_block),
        surround_(std::move(surround)),
        in_(std::move(in)),
        out_(std::move(out)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = out_.weights().out;
    return out;
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    ScratchParts parts;
    parts.Floats(surround_.Floats(in.vectors(), in.dim));
    return parts.bytes() + kernels::GmuWorkspaceBytes(Weights(), in.vectors());
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t rows = x.shape.vectors(), d = x.shape.dim;
    ScratchParts parts(scratch);
    float* normed = parts.Floats(surround_.Floats(rows, d));
    kernels::GmuArgs args;
    args.w = Weights();
    args.rows = rows;
    PENSTOCK_ASSIGN_OR_RETURN(args.x, surround_.Normed(x.floats(), rows, d, normed));
    args.memory = x.memory.floats();
    args.y = y.floats();
    args.workspace = parts.Rest();
    PENSTOCK_RETURN_IF_ERROR(FromKernel("gmu", kernels::Gmu(args)));
    surround_.Add(x.floats(), x.shape.elements(), y.floats());
    return absl::OkStatus();
  }
  double Flops(const ValueShape& in) const override {
    return surround_.Flops(in.vectors(), in.dim) +
           kernels::GmuCost(in.vectors(), in.dim, out_.weights().in, out_.weights().out).flops;
  }
  size_t resident_bytes() const override { return surround_.bytes() + in_.bytes() + out_.bytes(); }
  std::optional<size_t> memory_block() const override { return memory_block_; }

 private:
  kernels::GmuWeights Weights() const { return {in_.weights(), out_.weights()}; }

  const size_t memory_block_;
  const Surround surround_;
  const kernels::PackedLinear in_;   // [m, d]
  const kernels::PackedLinear out_;  // [o, m]
};

}  // namespace

BlockOr MakeGmu(const config::v1::Gmu& config, BlockTensors& tensors, const ValueShape& in,
                absl::Span<const ValueShape> earlier) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  const size_t from = config.memory_block();
  if (from >= earlier.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("memory_block: wanted a block before this one, blocks[", earlier.size(),
                     "], found ", from));
  }
  const ValueShape& memory = earlier[from];
  const auto refused = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(absl::StrCat("memory_block: blocks[", from, "] gives ",
                                                   DescribeValue(memory), ", wanted ", wanted));
  };
  if (memory.element != Element::kFloat) return refused("a float value");
  if (memory.positions != in.positions) {
    return refused(absl::StrCat("the positions of the value before, ", DescribeValue(in)));
  }
  if (memory.rows != in.rows) return refused("one from behind shifted_views");
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix gate, tensors.Matrix("in", memory.dim, in.dim));
  PENSTOCK_ASSIGN_OR_RETURN(
      const StoredMatrix out,
      tensors.Matrix("out", config.residual() ? in.dim : int64_t{-1}, memory.dim));
  PENSTOCK_ASSIGN_OR_RETURN(Surround surround,
                            Surround::Read(config.norm(), config.residual(), tensors, in.dim));
  return std::make_unique<GmuBlock>(from, std::move(surround), Pack(gate, nullptr),
                                    Pack(out, nullptr));
}

}  // namespace penstock::expert
