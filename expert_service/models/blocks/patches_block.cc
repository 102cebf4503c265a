#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {
namespace {

struct Geometry {
  int64_t height = 0;
  int64_t width = 0;
  int64_t patch = 0;
  int64_t stride = 0;

  int64_t down() const { return (height - patch) / stride + 1; }
  int64_t across() const { return (width - patch) / stride + 1; }
  int64_t positions() const { return down() * across(); }
  int64_t pixels() const { return patch * patch; }
};

// Images [rows, height * width] to patches [rows, positions, patch * patch].
void Cut(const Geometry& g, int64_t rows, const float* image, float* to) {
  for (int64_t row = 0; row < rows; ++row, image += g.height * g.width) {
    for (int64_t i = 0; i < g.down(); ++i) {
      for (int64_t j = 0; j < g.across(); ++j) {
        const float* corner = image + i * g.stride * g.width + j * g.stride;
        for (int64_t line = 0; line < g.patch; ++line, to += g.patch) {
          std::copy_n(corner + line * g.width, g.patch, to);
        }
      }
    }
  }
}

class PatchesBlock final : public Block {
 public:
  explicit PatchesBlock(const Geometry& geometry) : g_(geometry) {}

  ValueShape Output(const ValueShape& in) const override {
    return {in.rows, g_.positions(), g_.pixels(), Element::kFloat};
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    Cut(g_, x.shape.rows, x.floats(), y.floats());
    return absl::OkStatus();
  }

 private:
  const Geometry g_;
};

class EmbeddedPatchesBlock final : public Block {
 public:
  EmbeddedPatchesBlock(const Geometry& geometry, kernels::PackedLinear weights,
                       std::vector<float> position)
      : g_(geometry), weights_(std::move(weights)), position_(std::move(position)) {}

  ValueShape Output(const ValueShape& in) const override {
    return {in.rows, g_.positions(), weights_.weights().out, Element::kFloat};
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    return kernels::WorkspaceFloats(in.rows * g_.positions() * g_.pixels());
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    float* patches = static_cast<float*>(scratch.data);
    Cut(g_, x.shape.rows, x.floats(), patches);
    const int64_t count = static_cast<int64_t>(position_.size());
    for (int64_t row = 0; row < x.shape.rows; ++row) {
      std::copy_n(position_.data(), count, y.floats() + row * count);
    }
    kernels::LinearArgs args;
    args.w = weights_.weights();
    args.rows = x.shape.rows * g_.positions();
    args.x = patches;
    args.y = y.floats();
    args.residual = y.floats();  // the position
    return FromKernel("patches", kernels::Linear(args));
  }
  double Flops(const ValueShape& in) const override {
    return kernels::LinearCost(in.rows * g_.positions(), g_.pixels(), weights_.weights().out).flops;
  }
  size_t resident_bytes() const override {
    return weights_.bytes() + position_.size() * sizeof(float);
  }

 private:
  const Geometry g_;
  const kernels::PackedLinear weights_;
  const std::vector<float> position_;
};

}  // namespace

BlockOr MakePatches(const config::v1::Patches& config, BlockTensors& tensors,
                    const ValueShape& in) {
  const Geometry g{config.height(), config.width(), config.patch(), config.stride()};
  PENSTOCK_RETURN_IF_ERROR(WantImage(in, g.height, g.width));
  if (g.patch < 1 || g.patch > std::min(g.height, g.width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("patch must be in [1, ", std::min(g.height, g.width), "], found ", g.patch));
  }
  if (g.stride < 1) return absl::InvalidArgumentError("stride must be at least 1, found 0");
  const bool embeds = tensors.Has("weight") || tensors.Has("position") || tensors.Has("bias");
  if (!embeds) return std::make_unique<PatchesBlock>(g);
  PENSTOCK_ASSIGN_OR_RETURN(const auto weight, tensors.Floats("weight", {-1, g.pixels()}));
  const int64_t d = static_cast<int64_t>(weight.size()) / g.pixels();
  PENSTOCK_ASSIGN_OR_RETURN(const auto bias, tensors.Floats("bias", {d}));
  PENSTOCK_ASSIGN_OR_RETURN(auto position, tensors.Floats("position", {g.positions(), d}));
  return std::make_unique<EmbeddedPatchesBlock>(
      g, kernels::PackedLinear(weight.data(), bias.data(), g.pixels(), d), std::move(position));
}

}  // namespace penstock::expert
