#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {
namespace {

struct Shift {
  int64_t dy = 0;
  int64_t dx = 0;
};

class ShiftedViewsBlock final : public Block {
 public:
  ShiftedViewsBlock(int64_t height, int64_t width, std::vector<Shift> shifts)
      : height_(height), width_(width), shifts_(std::move(shifts)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.rows *= views();
    return out;
  }
  // The views of a row one after another.
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t pixels = height_ * width_;
    const float* image = x.floats();
    float* view = y.floats();
    for (int64_t row = 0; row < x.shape.rows; ++row, image += pixels) {
      for (const Shift& shift : shifts_) {
        std::fill_n(view, pixels, 0.0f);
        const int64_t top = std::max<int64_t>(shift.dy, 0);
        const int64_t bottom = height_ + std::min<int64_t>(shift.dy, 0);
        const int64_t left = std::max<int64_t>(shift.dx, 0);
        const int64_t right = width_ + std::min<int64_t>(shift.dx, 0);
        for (int64_t i = top; i < bottom; ++i) {
          std::copy_n(image + (i - shift.dy) * width_ + left - shift.dx, right - left,
                      view + i * width_ + left);
        }
        view += pixels;
      }
    }
    return absl::OkStatus();
  }
  int64_t views() const override { return static_cast<int64_t>(shifts_.size()); }

 private:
  const int64_t height_;
  const int64_t width_;
  const std::vector<Shift> shifts_;
};

}  // namespace

BlockOr MakeShiftedViews(const config::v1::ShiftedViews& config, BlockTensors&,
                         const ValueShape& in) {
  const int64_t height = config.height(), width = config.width();
  PENSTOCK_RETURN_IF_ERROR(WantImage(in, height, width));
  if (config.shifts_size() == 0 || config.shifts_size() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "shifts must be pairs of dy, dx, at least one, found ", config.shifts_size(), " numbers"));
  }
  std::vector<Shift> shifts;
  for (int i = 0; i < config.shifts_size(); i += 2) {
    const Shift shift{config.shifts(i), config.shifts(i + 1)};
    if (std::abs(shift.dy) >= height || std::abs(shift.dx) >= width) {
      return absl::InvalidArgumentError(absl::StrCat("shifts[", i, "]: ", shift.dy, ",", shift.dx,
                                                     " moves all of a ", height, "x", width,
                                                     " image out of sight"));
    }
    shifts.push_back(shift);
  }
  return std::make_unique<ShiftedViewsBlock>(height, width, std::move(shifts));
}

}  // namespace penstock::expert
