#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/blocks/scratch_parts.h"
#include "expert_service/models/blocks/surround.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/linear/linear.h"
#include "kernels/prefix_ffn/prefix_ffn.h"

namespace penstock::expert {
namespace {

// The learners, each with its two matrices in formats of their own.
class Learners {
 public:
  void Add(kernels::PackedLinear in, kernels::PackedLinear out) {
    packed_.push_back(std::move(in));
    packed_.push_back(std::move(out));
    views_.push_back({packed_[packed_.size() - 2].weights(), packed_.back().weights()});
  }
  int64_t count() const { return static_cast<int64_t>(views_.size()); }
  kernels::PrefixFfnWeights weights() const {
    const kernels::PrefixLearner& first = views_.front();
    return {views_.data(), count(),       first.in.in,
            first.in.out,  first.out.out, kernels::PrefixActivation::kGeluErf,
            nullptr};
  }
  // Of the first `count`.
  size_t bytes(int64_t count) const {
    size_t bytes = 0;
    for (size_t i = 0; i < 2 * static_cast<size_t>(count); ++i) bytes += packed_[i].bytes();
    return bytes;
  }

 private:
  std::vector<kernels::PackedLinear> packed_;  // in and out of each by turns
  std::vector<kernels::PrefixLearner> views_;
};

class AdaptiveFfnBlock final : public Block {
 public:
  AdaptiveFfnBlock(Surround surround, kernels::PackedLinear choice, Learners learners)
      : surround_(std::move(surround)),
        choice_(std::move(choice)),
        learners_(std::move(learners)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = learners_.weights().o;
    return out;
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    ScratchParts parts;
    Deal(in, parts);
    return parts.bytes() +
           std::max(kernels::LinearWorkspaceBytes(choice_.weights(), in.vectors()),
                    kernels::PrefixFfnWorkspaceBytes(learners_.weights(), in.vectors()));
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t rows = x.shape.vectors(), d = x.shape.dim;
    ScratchParts parts(scratch);
    const Parts at = Deal(x.shape, parts);
    PENSTOCK_ASSIGN_OR_RETURN(const float* n, surround_.Normed(x.floats(), rows, d, at.normed));

    kernels::LinearArgs choice;
    choice.w = choice_.weights();
    choice.rows = rows;
    choice.x = n;
    choice.y = at.logits;
    choice.workspace = parts.Rest();
    PENSTOCK_RETURN_IF_ERROR(FromKernel("adaptive_ffn: choice", kernels::Linear(choice)));
    for (int64_t i = 0; i < rows; ++i) at.widths[i] = Width(at.logits + i * choice.w.out);

    kernels::PrefixFfnArgs args;
    args.w = learners_.weights();
    args.rows = rows;
    args.x = n;
    args.width = at.widths;
    args.y = y.floats();
    args.workspace = parts.Rest();
    PENSTOCK_RETURN_IF_ERROR(FromKernel("adaptive_ffn: prefix_ffn", kernels::PrefixFfn(args)));
    surround_.Add(x.floats(), x.shape.elements(), y.floats());
    return absl::OkStatus();
  }

  double Flops(const ValueShape& in) const override {
    return Around(in.vectors(), in.dim) + OfLearners(in.vectors() * learners_.count());
  }
  double Charge(const ValueShape& in, kernels::Workspace scratch,
                absl::Span<double> row_flops) const override {
    ScratchParts parts(scratch);
    const int32_t* width = Deal(in, parts).widths;
    const int64_t positions = in.vectors() / in.rows;
    int32_t most = 0;
    for (double& flops : row_flops) {
      int64_t run = 0;
      for (int64_t p = 0; p < positions; ++p, ++width) {
        run += *width;
        most = std::max(most, *width);
      }
      flops = Around(positions, in.dim) + OfLearners(run);
    }
    return static_cast<double>(surround_.bytes() + choice_.bytes() + learners_.bytes(most));
  }
  size_t resident_bytes() const override {
    return surround_.bytes() + choice_.bytes() + learners_.bytes(learners_.count());
  }

 private:
  struct Parts {
    int32_t* widths;
    float* normed;
    float* logits;
  };

  Parts Deal(const ValueShape& in, ScratchParts& parts) const {
    const int64_t rows = in.vectors();
    return {parts.Ints(rows), parts.Floats(surround_.Floats(rows, in.dim)),
            parts.Floats(rows * choice_.weights().out)};
  }
  // The index of the largest, the first of equals. A broken choice costs time, not results: with a
  // NaN all learners run.
  int32_t Width(const float* logits) const {
    const int64_t all = learners_.count();
    int64_t best = 0;
    for (int64_t i = 0; i <= all; ++i) {
      if (logits[i] != logits[i]) return static_cast<int32_t>(all);
      if (logits[i] > logits[best]) best = i;
    }
    return static_cast<int32_t>(best);
  }
  // All but the learners.
  double Around(int64_t rows, int64_t d) const {
    return surround_.Flops(rows, d) + kernels::LinearCost(rows, d, choice_.weights().out).flops;
  }
  // `run` learners, over all vectors.
  double OfLearners(int64_t run) const {
    return kernels::PrefixFfnCost(learners_.weights(), 0, run, 0).flops;
  }

  const Surround surround_;
  const kernels::PackedLinear choice_;  // [learners + 1, d]
  const Learners learners_;
};

}  // namespace

BlockOr MakeAdaptiveFfn(const config::v1::AdaptiveFfn& config, BlockTensors& tensors,
                        const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  const int64_t count = config.learners(), d = in.dim;
  constexpr int64_t kMostLearners = 1024;
  if (count < 1 || count > kMostLearners) {
    return absl::InvalidArgumentError(
        absl::StrCat("learners must be in [1, ", kMostLearners, "], found ", count));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix choice, tensors.Matrix("choice", count + 1, d));
  PENSTOCK_ASSIGN_OR_RETURN(const auto choice_bias, tensors.Floats("choice_bias", {count + 1}));
  Learners learners;
  std::vector<float> in_bias, out_bias;
  int64_t r = -1, o = config.residual() ? d : -1;  // of the first: all are alike
  for (int64_t i = 0; i < count; ++i) {
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix first, tensors.ExpertMatrix("in", i, count, r, d));
    r = first.out;
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix second,
                              tensors.ExpertMatrix("out", i, count, o, r));
    o = second.out;
    if (i == 0) {
      PENSTOCK_ASSIGN_OR_RETURN(in_bias, tensors.Floats("in_bias", {count, r}));
      PENSTOCK_ASSIGN_OR_RETURN(out_bias, tensors.Floats("out_bias", {count, o}));
    }
    learners.Add(Pack(first, in_bias.data() + i * r), Pack(second, out_bias.data() + i * o));
  }
  PENSTOCK_ASSIGN_OR_RETURN(Surround surround,
                            Surround::Read(config.norm(), config.residual(), tensors, d));
  return std::make_unique<AdaptiveFfnBlock>(std::move(surround), Pack(choice, choice_bias.data()),
                                            std::move(learners));
}

}  // namespace penstock::expert
