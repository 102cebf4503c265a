#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {
namespace {

class EmbeddingBlock final : public Block {
 public:
  EmbeddingBlock(std::vector<float> weight, int64_t dim) : weight_(std::move(weight)), dim_(dim) {}

  ValueShape Output(const ValueShape& in) const override {
    return {in.rows, in.positions, dim_, Element::kFloat};
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    float* to = y.floats();
    for (int64_t i = 0; i < x.shape.vectors(); ++i, to += dim_) {
      // Ids were checked on arrival; memory is read only below a bound all the same.
      const int64_t id = std::clamp<int64_t>(x.ids()[i], 0, vocabulary() - 1);
      std::copy_n(weight_.data() + id * dim_, dim_, to);
    }
    return absl::OkStatus();
  }
  // Only the rows that are looked up.
  double WeightBytes(const ValueShape& in) const override {
    return static_cast<double>(std::min(in.vectors(), vocabulary()) * dim_) * sizeof(float);
  }
  size_t resident_bytes() const override { return weight_.size() * sizeof(float); }
  int64_t vocabulary() const override { return static_cast<int64_t>(weight_.size()) / dim_; }

 private:
  const std::vector<float> weight_;
  const int64_t dim_;
};

}  // namespace

BlockOr MakeEmbedding(const config::v1::Embedding&, BlockTensors& tensors, const ValueShape& in) {
  if (in.element != Element::kId) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be the first block, of an input of ids (INT32 or INT64, shape "
                     "[positions]), found ",
                     DescribeValue(in)));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto shape, tensors.Shape("weight", 2));
  PENSTOCK_ASSIGN_OR_RETURN(auto weight, tensors.Floats("weight", shape));
  if (weight.empty()) return absl::InvalidArgumentError("tensor weight is empty");
  return std::make_unique<EmbeddingBlock>(std::move(weight), shape[1]);
}

}  // namespace penstock::expert
