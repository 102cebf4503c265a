#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {
namespace {

class MeanPoolBlock final : public Block {
 public:
  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.positions = kNoPositions;
    return out;
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t dim = x.shape.dim;
    const float count = static_cast<float>(x.shape.positions);
    const float* from = x.floats();
    float* to = y.floats();
    for (int64_t row = 0; row < x.shape.rows; ++row, to += dim) {
      std::copy_n(from, dim, to);
      from += dim;
      for (int64_t p = 1; p < x.shape.positions; ++p, from += dim) {
        for (int64_t i = 0; i < dim; ++i) to[i] += from[i];
      }
      for (int64_t i = 0; i < dim; ++i) to[i] /= count;
    }
    return absl::OkStatus();
  }
  double Flops(const ValueShape& in) const override { return static_cast<double>(in.elements()); }
};

class AveragePoolBlock final : public Block {
 public:
  AveragePoolBlock(int64_t height, int64_t width, int64_t cell)
      : height_(height), width_(width), cell_(cell) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = (height_ / cell_) * (width_ / cell_);
    return out;
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const float area = static_cast<float>(cell_ * cell_);
    const float* image = x.floats();
    float* to = y.floats();
    for (int64_t row = 0; row < x.shape.rows; ++row, image += height_ * width_) {
      for (int64_t top = 0; top + cell_ <= height_; top += cell_) {
        for (int64_t left = 0; left + cell_ <= width_; left += cell_) {
          float sum = 0;
          for (int64_t i = 0; i < cell_; ++i) {
            const float* line = image + (top + i) * width_ + left;
            for (int64_t j = 0; j < cell_; ++j) sum += line[j];
          }
          *to++ = sum / area;
        }
      }
    }
    return absl::OkStatus();
  }
  double Flops(const ValueShape& in) const override { return static_cast<double>(in.elements()); }

 private:
  const int64_t height_;
  const int64_t width_;
  const int64_t cell_;
};

}  // namespace

BlockOr MakeMeanPool(const config::v1::MeanPool&, BlockTensors&, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantPositions(in));
  return std::make_unique<MeanPoolBlock>();
}

BlockOr MakeAveragePool(const config::v1::AveragePool& config, BlockTensors&,
                        const ValueShape& in) {
  const int64_t height = config.height(), width = config.width(), cell = config.cell();
  PENSTOCK_RETURN_IF_ERROR(WantImage(in, height, width));
  if (cell < 1 || height % cell != 0 || width % cell != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cell must divide ", height, " and ", width, ", found ", cell));
  }
  return std::make_unique<AveragePoolBlock>(height, width, cell);
}

}  // namespace penstock::expert
