#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/blocks/gated_readout.h"
#include "expert_service/models/blocks/scratch_parts.h"
#include "expert_service/models/blocks/sequences.h"
#include "expert_service/models/blocks/surround.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/gated_delta/gated_delta.h"

namespace penstock::expert {
namespace {

// A projection, and the convolution over its channels where there is one.
struct Channels {
  kernels::PackedLinear project;
  std::optional<kernels::PackedCausalConv> conv;

  int64_t count() const { return project.weights().out; }
  size_t bytes() const { return project.bytes() + (conv ? conv->bytes() : 0); }
};

struct Weights {
  int64_t key_heads = 1;
  int64_t value_heads = 1;
  float most_beta = 1;
  Surround surround;
  Channels q, k, v;
  kernels::PackedLinear beta;   // [value_heads, d]
  kernels::PackedLinear decay;  // [value_heads, d], with dt_bias
  std::vector<float> rate;      // [value_heads], exp(a_log)
  GatedReadout readout;

  int64_t key_dim() const { return q.count() / key_heads; }
  int64_t value_dim() const { return v.count() / value_heads; }
};

class GatedDeltaBlock final : public Block {
 public:
  explicit GatedDeltaBlock(Weights weights) : w_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override { return in; }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    const int64_t tokens = RowsTogether(in.rows, in.positions) * in.positions;
    ScratchParts parts;
    Deal(tokens, in.dim, parts);
    size_t most = std::max(kernels::GatedDeltaWorkspaceBytes(w_.key_dim()),
                           w_.readout.WorkspaceBytes(tokens));
    for (const kernels::PackedLinear* w :
         {&w_.q.project, &w_.k.project, &w_.v.project, &w_.beta, &w_.decay}) {
      most = std::max(most, kernels::LinearWorkspaceBytes(w->weights(), tokens));
    }
    return parts.bytes() + most;
  }
  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    return RunInGroups(x, y, [&](const float* from, int64_t rows, float* to) {
      return RunRows(from, rows, x.shape.positions, x.shape.dim, to, scratch);
    });
  }

  double Flops(const ValueShape& in) const override {
    const int64_t tokens = in.vectors(), d = in.dim;
    double flops = w_.surround.Flops(tokens, d) + w_.readout.Flops(tokens) +
                   kernels::LinearCost(tokens, d, 2 * w_.value_heads).flops +
                   // A sigmoid, a softplus: an exp or a log counts as 8.
                   static_cast<double>(tokens * w_.value_heads) * 30 +
                   kernels::GatedDeltaCost(tokens, in.rows, w_.key_heads, w_.value_heads,
                                           w_.key_dim(), w_.value_dim())
                       .flops;
    for (const Channels* part : {&w_.q, &w_.k, &w_.v}) {
      flops += kernels::LinearCost(tokens, d, part->count()).flops;
      if (!part->conv) continue;
      flops += kernels::CausalConvCost(in.rows, in.positions, part->count(),
                                       part->conv->weights().width, true, false)
                   .flops;
    }
    return flops;
  }
  size_t resident_bytes() const override {
    return w_.surround.bytes() + w_.q.bytes() + w_.k.bytes() + w_.v.bytes() + w_.beta.bytes() +
           w_.decay.bytes() + w_.rate.size() * sizeof(float) + w_.readout.bytes();
  }

 private:
  struct Parts {
    float* normed;
    float* q;
    float* k;
    float* v;
    float* raw;  // before a convolution; then what the heads read out
    float* beta;
    float* g;
    float* state;
  };

  Parts Deal(int64_t tokens, int64_t d, ScratchParts& parts) const {
    const int64_t gates = tokens * w_.value_heads;
    return {parts.Floats(w_.surround.Floats(tokens, d)),
            parts.Floats(tokens * w_.q.count()),
            parts.Floats(tokens * w_.k.count()),
            parts.Floats(tokens * w_.v.count()),
            parts.Floats(tokens * std::max(w_.q.count(), w_.v.count())),
            parts.Floats(gates),
            parts.Floats(gates),
            parts.Floats(StateFloats())};
  }
  int64_t StateFloats() const {
    return w_.value_heads * kernels::StateFloats(w_.key_dim(), w_.value_dim());
  }

  absl::Status RunRows(const float* x, int64_t rows, int64_t positions, int64_t d, float* y,
                       kernels::Workspace scratch) const {
    const int64_t tokens = rows * positions;
    ScratchParts parts(scratch);
    const Parts at = Deal(tokens, d, parts);
    const kernels::Workspace rest = parts.Rest();
    PENSTOCK_ASSIGN_OR_RETURN(const float* n, w_.surround.Normed(x, tokens, d, at.normed));
    PENSTOCK_RETURN_IF_ERROR(Convolved("q", w_.q, n, rows, positions, at.raw, at.q, rest));
    PENSTOCK_RETURN_IF_ERROR(Convolved("k", w_.k, n, rows, positions, at.raw, at.k, rest));
    PENSTOCK_RETURN_IF_ERROR(Convolved("v", w_.v, n, rows, positions, at.raw, at.v, rest));
    PENSTOCK_RETURN_IF_ERROR(Gates(n, tokens, at, rest));
    const auto attend = [&](const int64_t* offsets) {
      kernels::GatedDeltaArgs args;
      args.sequences = 1;
      args.key_heads = w_.key_heads;
      args.value_heads = w_.value_heads;
      args.key_dim = w_.key_dim();
      args.value_dim = w_.value_dim();
      args.offsets = offsets;
      args.q = at.q;
      args.k = at.k;
      args.v = at.v;
      args.g = at.g;
      args.beta = at.beta;
      args.state = at.state;
      args.y = at.raw;
      args.workspace = rest;
      return FromKernel("gated_delta", kernels::GatedDelta(args));
    };
    PENSTOCK_RETURN_IF_ERROR(RunFromEmptyState(rows, positions, at.state, StateFloats(), attend));
    PENSTOCK_RETURN_IF_ERROR(w_.readout.Run(n, tokens, at.raw, y, rest));
    w_.surround.Add(x, tokens * d, y);
    return absl::OkStatus();
  }

  absl::Status Convolved(absl::string_view what, const Channels& part, const float* n, int64_t rows,
                         int64_t positions, float* raw, float* to, kernels::Workspace rest) const {
    float* projected = part.conv ? raw : to;
    PENSTOCK_RETURN_IF_ERROR(Project(what, part.project, n, rows * positions, projected, rest));
    if (!part.conv) return absl::OkStatus();
    kernels::CausalConvArgs args;
    args.w = part.conv->weights();
    args.sequences = rows;
    args.steps = positions;
    args.x = raw;
    args.silu = true;
    args.y = to;
    return FromKernel("causal_conv", kernels::CausalConv(args));
  }

  // beta = sigmoid(Wb n), times 2 with negative eigenvalues;
  // g = -exp(a_log) softplus(Wa n + dt_bias).
  absl::Status Gates(const float* n, int64_t tokens, const Parts& at,
                     kernels::Workspace rest) const {
    PENSTOCK_RETURN_IF_ERROR(Project("beta", w_.beta, n, tokens, at.beta, rest));
    PENSTOCK_RETURN_IF_ERROR(Project("decay", w_.decay, n, tokens, at.g, rest));
    for (int64_t i = 0; i < tokens * w_.value_heads; ++i) {
      at.beta[i] = w_.most_beta / (1 + std::exp(-at.beta[i]));
      const float z = at.g[i];
      const float softplus = std::max(z, 0.0f) + std::log1p(std::exp(-std::abs(z)));
      at.g[i] = -w_.rate[static_cast<size_t>(i % w_.value_heads)] * softplus;
    }
    return absl::OkStatus();
  }

  const Weights w_;
};

absl::Status ReadConv(BlockTensors& tensors, absl::string_view name, Channels& channels) {
  if (!tensors.Has(name)) return absl::OkStatus();
  PENSTOCK_ASSIGN_OR_RETURN(const auto shape, tensors.Shape(name, 2));
  if (shape[1] < 1 || shape[1] > kernels::kMostConvWidth) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", std::string(name), ": wanted 1 to ",
                                                   kernels::kMostConvWidth, " taps, found ",
                                                   shape[1]));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const auto taps, tensors.Floats(name, {channels.count(), shape[1]}));
  channels.conv.emplace(taps.data(), nullptr, channels.count(), shape[1]);
  return absl::OkStatus();
}

absl::Status ReadGates(BlockTensors& tensors, int64_t d, Weights& weights) {
  const int64_t heads = weights.value_heads;
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix beta, tensors.Matrix("beta", heads, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix decay, tensors.Matrix("decay", heads, d));
  PENSTOCK_ASSIGN_OR_RETURN(const auto dt_bias, tensors.Floats("dt_bias", {heads}));
  PENSTOCK_ASSIGN_OR_RETURN(weights.rate, tensors.Floats("a_log", {heads}));
  for (float& rate : weights.rate) {
    const float a_log = rate;
    rate = std::exp(a_log);
    if (!std::isfinite(rate)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor a_log: wanted numbers whose exp is finite, found ", a_log));
    }
  }
  weights.beta = Pack(beta, nullptr);
  weights.decay = Pack(decay, dt_bias.data());
  return absl::OkStatus();
}

}  // namespace

BlockOr MakeGatedDelta(const config::v1::GatedDelta& config, BlockTensors& tensors,
                       const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantPositions(in));
  const int64_t d = in.dim;
  Weights weights;
  weights.key_heads = config.heads();
  weights.value_heads = config.value_heads() == 0 ? config.heads() : config.value_heads();
  weights.most_beta = config.negative_eigenvalues() ? 2.0f : 1.0f;
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix q, tensors.Matrix("q", -1, d));
  PENSTOCK_RETURN_IF_ERROR(WantHeads("heads", weights.key_heads, {{"q", q.out}}));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix k, tensors.Matrix("k", q.out, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix v, tensors.Matrix("v", -1, d));
  PENSTOCK_RETURN_IF_ERROR(WantHeads("value_heads", weights.value_heads, {{"v", v.out}}));
  if (weights.value_heads % weights.key_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat("value_heads must be a multiple of heads, ",
                                                   weights.key_heads, ", found ",
                                                   weights.value_heads));
  }
  weights.q.project = Pack(q, nullptr);
  weights.k.project = Pack(k, nullptr);
  weights.v.project = Pack(v, nullptr);
  PENSTOCK_RETURN_IF_ERROR(ReadConv(tensors, "q_conv", weights.q));
  PENSTOCK_RETURN_IF_ERROR(ReadConv(tensors, "k_conv", weights.k));
  PENSTOCK_RETURN_IF_ERROR(ReadConv(tensors, "v_conv", weights.v));
  PENSTOCK_RETURN_IF_ERROR(ReadGates(tensors, d, weights));
  PENSTOCK_ASSIGN_OR_RETURN(weights.readout,
                            GatedReadout::Read(tensors, d, v.out, weights.value_heads, true));
  PENSTOCK_ASSIGN_OR_RETURN(weights.surround,
                            Surround::Read(config.norm(), config.residual(), tensors, d));
  return std::make_unique<GatedDeltaBlock>(std::move(weights));
}

}  // namespace penstock::expert
