#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/blocks/gated_readout.h"
#include "expert_service/models/blocks/scratch_parts.h"
#include "expert_service/models/blocks/sequences.h"
#include "expert_service/models/blocks/surround.h"
#include "kernels/linear_attention/hgrn2_gates.h"
#include "kernels/linear_attention/linear_attention.h"

namespace penstock::expert {
namespace {

struct Weights {
  int64_t heads = 1;
  bool hgrn2 = false;
  Surround surround;
  kernels::PackedLinear q, v;
  kernels::PackedLinear k;            // GLA
  kernels::PackedLinear forget_down;  // GLA: [r, d]
  kernels::PackedLinear forget;       // GLA: [d_k, r], with its bias; HGRN2: [d_k, d]
  std::vector<float> lower_bound;     // HGRN2: [d_k]
  GatedReadout readout;

  int64_t d_k() const { return q.weights().out; }
  int64_t d_v() const { return v.weights().out; }
};

// log of the decay, the sixteenth root of a sigmoid.
void DecaysOfGla(float* z, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float log_sigmoid = std::min(z[i], 0.0f) - std::log1p(std::exp(-std::abs(z[i])));
    z[i] = log_sigmoid / 16;
  }
}

void Silu(float* z, int64_t count) {
  for (int64_t i = 0; i < count; ++i) z[i] = z[i] / (1 + std::exp(-z[i]));
}

class GatedLinearAttentionBlock final : public Block {
 public:
  explicit GatedLinearAttentionBlock(Weights weights) : w_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override { return in; }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    const int64_t tokens = RowsTogether(in.rows, in.positions) * in.positions;
    ScratchParts parts;
    Deal(tokens, in.dim, parts);
    size_t most = std::max(kernels::LinearAttentionWorkspaceBytes(w_.d_k() / w_.heads),
                           w_.readout.WorkspaceBytes(tokens));
    for (const kernels::PackedLinear* w : {&w_.q, &w_.k, &w_.v, &w_.forget_down, &w_.forget}) {
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
    const int64_t tokens = in.vectors(), d = in.dim, d_k = w_.d_k(), d_v = w_.d_v();
    const int64_t rank = w_.forget.weights().in;
    const double projections = kernels::LinearCost(tokens, d, d_k + d_v).flops +
                               (w_.hgrn2 ? kernels::LinearCost(tokens, d, d_k).flops
                                         : kernels::LinearCost(tokens, d, d_k + rank).flops +
                                               kernels::LinearCost(tokens, rank, d_k).flops);
    // An exp or a log counts as 8.
    const double gates = static_cast<double>(tokens * d_k) * (w_.hgrn2 ? 42 : 20);
    return w_.surround.Flops(tokens, d) + projections + gates +
           kernels::LinearAttentionCost(tokens, in.rows, w_.heads, d_k / w_.heads, d_v / w_.heads)
               .flops +
           w_.readout.Flops(tokens);
  }
  size_t resident_bytes() const override {
    return w_.surround.bytes() + w_.q.bytes() + w_.k.bytes() + w_.v.bytes() +
           w_.forget_down.bytes() + w_.forget.bytes() + w_.lower_bound.size() * sizeof(float) +
           w_.readout.bytes();
  }

 private:
  struct Parts {
    float* normed;
    float* q;
    float* k;
    float* v;
    float* down;
    float* g;
    float* o;
    float* state;
  };

  Parts Deal(int64_t tokens, int64_t d, ScratchParts& parts) const {
    const int64_t keys = tokens * w_.d_k(), values = tokens * w_.d_v();
    return {parts.Floats(w_.surround.Floats(tokens, d)),
            parts.Floats(keys),
            parts.Floats(keys),
            parts.Floats(values),
            parts.Floats(tokens * w_.forget_down.weights().out),
            parts.Floats(keys),
            parts.Floats(values),
            parts.Floats(StateFloats())};
  }
  int64_t StateFloats() const {
    return w_.heads * kernels::StateFloats(w_.d_k() / w_.heads, w_.d_v() / w_.heads);
  }

  absl::Status RunRows(const float* x, int64_t rows, int64_t positions, int64_t d, float* y,
                       kernels::Workspace scratch) const {
    const int64_t tokens = rows * positions;
    ScratchParts parts(scratch);
    const Parts at = Deal(tokens, d, parts);
    const kernels::Workspace rest = parts.Rest();
    PENSTOCK_ASSIGN_OR_RETURN(const float* n, w_.surround.Normed(x, tokens, d, at.normed));
    PENSTOCK_RETURN_IF_ERROR(Project("q", w_.q, n, tokens, at.q, rest));
    PENSTOCK_RETURN_IF_ERROR(Project("v", w_.v, n, tokens, at.v, rest));
    PENSTOCK_RETURN_IF_ERROR(w_.hgrn2 ? Hgrn2(n, tokens, at, rest) : Gla(n, tokens, at, rest));
    const auto attend = [&](const int64_t* offsets) {
      kernels::LinearAttentionArgs args;
      args.sequences = 1;
      args.heads = w_.heads;
      args.key_dim = w_.d_k() / w_.heads;
      args.value_dim = w_.d_v() / w_.heads;
      args.offsets = offsets;
      args.q = at.q;
      args.k = at.k;
      args.v = at.v;
      args.g = at.g;
      args.state = at.state;
      args.y = at.o;
      args.workspace = rest;
      return FromKernel("linear_attention", kernels::LinearAttention(args));
    };
    PENSTOCK_RETURN_IF_ERROR(RunFromEmptyState(rows, positions, at.state, StateFloats(), attend));
    PENSTOCK_RETURN_IF_ERROR(w_.readout.Run(n, tokens, at.o, y, rest));
    w_.surround.Add(x, tokens * d, y);
    return absl::OkStatus();
  }

  absl::Status Gla(const float* n, int64_t tokens, const Parts& at, kernels::Workspace rest) const {
    PENSTOCK_RETURN_IF_ERROR(Project("k", w_.k, n, tokens, at.k, rest));
    PENSTOCK_RETURN_IF_ERROR(Project("forget_down", w_.forget_down, n, tokens, at.down, rest));
    PENSTOCK_RETURN_IF_ERROR(Project("forget_up", w_.forget, at.down, tokens, at.g, rest));
    DecaysOfGla(at.g, tokens * w_.d_k());
    return absl::OkStatus();
  }
  absl::Status Hgrn2(const float* n, int64_t tokens, const Parts& at,
                     kernels::Workspace rest) const {
    Silu(at.q, tokens * w_.d_k());
    PENSTOCK_RETURN_IF_ERROR(Project("forget", w_.forget, n, tokens, at.g, rest));
    kernels::Hgrn2GatesArgs gates;
    gates.tokens = tokens;
    gates.channels = w_.d_k();
    gates.z = gates.g = at.g;
    gates.lower_bound = w_.lower_bound.data();
    gates.k = at.k;
    return FromKernel("hgrn2_gates", kernels::Hgrn2Gates(gates));
  }

  const Weights w_;
};

absl::Status ReadGla(BlockTensors& tensors, int64_t d, Weights& weights) {
  const int64_t d_k = weights.d_k();
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix k, tensors.Matrix("k", d_k, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix down, tensors.Matrix("forget_down", -1, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix up, tensors.Matrix("forget_up", d_k, down.out));
  PENSTOCK_ASSIGN_OR_RETURN(const auto bias, tensors.Floats("forget_bias", {d_k}));
  weights.k = Pack(k, nullptr);
  weights.forget_down = Pack(down, nullptr);
  weights.forget = Pack(up, bias.data());
  return absl::OkStatus();
}

absl::Status ReadHgrn2(BlockTensors& tensors, int64_t d, Weights& weights) {
  const int64_t d_k = weights.d_k();
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix forget, tensors.Matrix("forget", d_k, d));
  PENSTOCK_ASSIGN_OR_RETURN(weights.lower_bound, tensors.Floats("lower_bound", {d_k}));
  for (const float bound : weights.lower_bound) {
    if (!(bound >= 0) || !(bound <= 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor lower_bound: wanted numbers in [0, 1], found ", bound));
    }
  }
  weights.hgrn2 = true;
  weights.forget = Pack(forget, nullptr);
  return absl::OkStatus();
}

}  // namespace

BlockOr MakeGatedLinearAttention(const config::v1::GatedLinearAttention& config,
                                 BlockTensors& tensors, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantPositions(in));
  const int64_t d = in.dim;
  Weights weights;
  weights.heads = config.heads();
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix q, tensors.Matrix("q", -1, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix v, tensors.Matrix("v", -1, d));
  PENSTOCK_RETURN_IF_ERROR(WantHeads("heads", weights.heads, {{"q", q.out}, {"v", v.out}}));
  weights.q = Pack(q, nullptr);
  weights.v = Pack(v, nullptr);
  switch (config.forget_gate()) {
    case config::v1::GLA:
      PENSTOCK_RETURN_IF_ERROR(ReadGla(tensors, d, weights));
      break;
    case config::v1::HGRN2:
      PENSTOCK_RETURN_IF_ERROR(ReadHgrn2(tensors, d, weights));
      break;
    case config::v1::ForgetGate_INT_MIN_SENTINEL_DO_NOT_USE_:
    case config::v1::ForgetGate_INT_MAX_SENTINEL_DO_NOT_USE_:
      return absl::InvalidArgumentError(
          absl::StrCat("unknown forget_gate ", int{config.forget_gate()}));
  }
  const bool gated = !weights.hgrn2 || tensors.HasMatrix("gate");
  PENSTOCK_ASSIGN_OR_RETURN(weights.readout,
                            GatedReadout::Read(tensors, d, v.out, weights.heads, gated));
  PENSTOCK_ASSIGN_OR_RETURN(weights.surround,
                            Surround::Read(config.norm(), config.residual(), tensors, d));
  return std::make_unique<GatedLinearAttentionBlock>(std::move(weights));
}

}  // namespace penstock::expert
