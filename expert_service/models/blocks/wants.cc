#include "absl/strings/str_cat.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {

absl::Status WantFloats(const ValueShape& in) {
  if (in.element == Element::kFloat) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("wanted a float value, found ", DescribeValue(in)));
}

absl::Status WantPositions(const ValueShape& in) {
  if (in.element == Element::kFloat && in.has_positions()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("wanted [rows, positions, dim], found ", DescribeValue(in)));
}

absl::Status WantImage(const ValueShape& in, int64_t height, int64_t width) {
  // Larger sides would overflow nothing before this, but no picture that fits a message has them.
  constexpr int64_t kMaxSide = 1 << 15;
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat("height and width must be in [1, ", kMaxSide,
                                                   "], found ", height, " and ", width));
  }
  if (in.element == Element::kFloat && !in.has_positions() && in.dim == height * width) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("wanted [rows, ", height, "*", width, " = ",
                                                 height * width, "], found ", DescribeValue(in)));
}

absl::Status WantHeads(absl::string_view field, int64_t heads,
                       std::initializer_list<std::pair<absl::string_view, int64_t>> tensors) {
  for (const auto& [name, channels] : tensors) {
    if (heads < 1 || channels % heads != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, " must divide the ", channels, " channels of tensor ", name, ", found ", heads));
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock::expert
