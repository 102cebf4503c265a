#include "expert_service/importing/moe_layer.h"

#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {
namespace {

using Entry = Safetensors::Entry;

class LayerReader {
 public:
  LayerReader(const HfMoe& moe, Checkpoint& checkpoint, int64_t layer)
      : moe_(moe),
        checkpoint_(checkpoint),
        prefix_(absl::StrCat("model.layers.", layer, ".")),
        block_(absl::StrCat(prefix_, moe.block, ".")) {}

  absl::StatusOr<MoeLayer> Read(int64_t index, bool norm) {
    MoeLayer layer;
    layer.layer = index;
    const int64_t d = moe_.hidden;
    PENSTOCK_RETURN_IF_ERROR(
        Take(absl::StrCat(block_, "gate.weight"), {moe_.experts, d}, layer.router));
    layer.experts.resize(static_cast<size_t>(moe_.experts));
    for (int64_t e = 0; e < moe_.experts; ++e) {
      PENSTOCK_RETURN_IF_ERROR(TakeExpert(absl::StrCat(block_, "experts.", e, "."), moe_.width,
                                          layer.experts[static_cast<size_t>(e)]));
    }
    if (moe_.shared_width > 0) {
      layer.shared.emplace();
      PENSTOCK_RETURN_IF_ERROR(
          TakeExpert(absl::StrCat(block_, "shared_expert."), moe_.shared_width, *layer.shared));
      PENSTOCK_RETURN_IF_ERROR(
          Take(absl::StrCat(block_, "shared_expert_gate.weight"), {1, d}, layer.shared_weight));
    }
    if (norm) {
      PENSTOCK_RETURN_IF_ERROR(
          Take(absl::StrCat(prefix_, "post_attention_layernorm.weight"), {d}, layer.norm));
    }
    FindOdd();
    if (problems_.empty()) CheckOneType(layer);
    if (problems_.empty()) return layer;
    constexpr size_t kNamed = 20;
    const size_t all = problems_.size();
    if (all > kNamed) {
      problems_.resize(kNamed);
      problems_.push_back(absl::StrCat("and ", all - kNamed, " more"));
    }
    return absl::InvalidArgumentError(absl::StrCat("layer ", index, " of a ", moe_.family,
                                                   " checkpoint:\n  ",
                                                   absl::StrJoin(problems_, "\n  ")));
  }

 private:
  // Null where there is a problem with it, which is noted; an error of the files is returned.
  absl::Status Take(const std::string& name, const std::vector<int64_t>& shape,
                    const Entry*& entry) {
    taken_.insert(name);
    if (!checkpoint_.Has(name)) {
      problems_.push_back(absl::StrCat(name, ": wanted ", ShapeString(shape), ", found none"));
      return absl::OkStatus();
    }
    PENSTOCK_ASSIGN_OR_RETURN(const Entry* found, checkpoint_.Find(name));
    const bool stored = found->dtype == "BF16" || found->dtype == "F16" || found->dtype == "F32";
    if (!stored || found->shape != shape) {
      problems_.push_back(absl::StrCat(name, ": wanted BF16, F16 or F32 ", ShapeString(shape),
                                       ", found ", found->dtype, " ", ShapeString(found->shape)));
      return absl::OkStatus();
    }
    entry = found;
    return absl::OkStatus();
  }

  absl::Status TakeExpert(const std::string& prefix, int64_t width, ExpertTensors& expert) {
    const int64_t d = moe_.hidden;
    PENSTOCK_RETURN_IF_ERROR(
        Take(absl::StrCat(prefix, moe_.gate, ".weight"), {width, d}, expert.gate));
    PENSTOCK_RETURN_IF_ERROR(Take(absl::StrCat(prefix, moe_.up, ".weight"), {width, d}, expert.up));
    return Take(absl::StrCat(prefix, moe_.down, ".weight"), {d, width}, expert.down);
  }

  // A tensor of the block that no place takes (a bias, an expert too many, scales of a quantiser)
  // would change the layer's answers if it were left out.
  void FindOdd() {
    const auto& files = checkpoint_.files();
    for (auto it = files.lower_bound(block_);
         it != files.end() && absl::StartsWith(it->first, block_); ++it) {
      if (taken_.count(it->first) == 0) {
        problems_.push_back(absl::StrCat(it->first, ": wanted none, found one"));
      }
    }
  }

  // Experts are stored in one tensor; gate and up are one matrix to the kernels.
  void CheckOneType(const MoeLayer& layer) {
    const std::string& first = layer.experts[0].gate->dtype;
    const auto check = [&](const ExpertTensors& expert, const std::string& prefix,
                           const std::string& wanted) {
      for (const auto& [entry, name] :
           {std::pair(expert.gate, &moe_.gate), std::pair(expert.up, &moe_.up),
            std::pair(expert.down, &moe_.down)}) {
        if (entry->dtype != wanted) {
          problems_.push_back(absl::StrCat(prefix, *name, ".weight: wanted ", wanted, " as in ",
                                           moe_.gate, ".weight of the first, found ",
                                           entry->dtype));
        }
      }
    };
    for (size_t e = 0; e < layer.experts.size(); ++e) {
      check(layer.experts[e], absl::StrCat(block_, "experts.", e, "."), first);
    }
    if (layer.shared) {
      check(*layer.shared, absl::StrCat(block_, "shared_expert."), layer.shared->gate->dtype);
    }
  }

  const HfMoe& moe_;
  Checkpoint& checkpoint_;
  const std::string prefix_;
  const std::string block_;
  std::set<std::string> taken_;
  std::vector<std::string> problems_;
};

}  // namespace

absl::StatusOr<MoeLayer> FindMoeLayer(const HfMoe& moe, Checkpoint& checkpoint, int64_t layer,
                                      bool norm) {
  return LayerReader(moe, checkpoint, layer).Read(layer, norm);
}

}  // namespace penstock::expert
