#include "absl/strings/str_cat.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {
namespace {

class LabelsBlock final : public Block {
 public:
  explicit LabelsBlock(std::vector<std::string> names) : names_(std::move(names)) {}

  ValueShape Output(const ValueShape& in) const override {
    return {in.rows, kNoPositions, 1, Element::kLabel};
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const float* row = x.floats();
    for (int64_t r = 0; r < x.shape.rows; ++r, row += x.shape.dim) {
      int32_t best = 0;
      for (int64_t i = 1; i < x.shape.dim; ++i) {
        // A NaN never wins; a row of NaNs gets the first name.
        if (row[i] > row[best] || row[best] != row[best]) best = static_cast<int32_t>(i);
      }
      y.ids()[r] = row[best] != row[best] ? 0 : best;
    }
    return absl::OkStatus();
  }
  const std::vector<std::string>* names() const override { return &names_; }

 private:
  const std::vector<std::string> names_;
};

}  // namespace

BlockOr MakeLabels(const config::v1::Labels& config, BlockTensors&, const ValueShape& in) {
  if (in.element != Element::kFloat || in.has_positions() || in.dim != config.names_size()) {
    return absl::InvalidArgumentError(absl::StrCat("has ", config.names_size(),
                                                   " names, so wanted [rows, ", config.names_size(),
                                                   "], found ", DescribeValue(in)));
  }
  return std::make_unique<LabelsBlock>(
      std::vector<std::string>(config.names().begin(), config.names().end()));
}

}  // namespace penstock::expert
