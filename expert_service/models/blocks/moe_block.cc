#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/device/isa.h"
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/linear/linear.h"
#include "kernels/moe_ffn/cuda/packed_experts.h"
#include "kernels/moe_ffn/cuda/resident_moe.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/route_plan/route_plan.h"
#include "kernels/route_topk/route_topk.h"

namespace penstock::expert {
namespace {

// The expert that every row takes.
struct SharedExpert {
  kernels::PackedGatedMlp mlp;
  std::optional<kernels::PackedLinear> weight;  // [1, d]; none: 1
};

struct Weights {
  std::vector<float> norm;  // empty: none
  kernels::PackedLinear router;
  std::vector<float> router_bias;  // empty: none
  kernels::PackedMoe experts;
  std::unique_ptr<kernels::ResidentMoe> resident;  // the experts on a device; null: not there
  std::optional<SharedExpert> shared;
  int64_t top_k = 1;
  kernels::RouteScore score = kernels::RouteScore::kSoftmax;
  bool renormalize = true;
  float scale = 1;
  bool residual = false;
};

class MoeBlock final : public Block {
 public:
  explicit MoeBlock(Weights weights) : w_(std::move(weights)) {}

  ValueShape Output(const ValueShape& in) const override {
    ValueShape out = in;
    out.dim = w_.experts.weights().o;
    return out;
  }
  size_t WorkspaceBytes(const ValueShape& in) const override {
    const int64_t rows = in.vectors();
    size_t most = std::max(kernels::MoeFfnWorkspaceBytes(w_.experts.weights(), rows, w_.top_k),
                           kernels::LinearWorkspaceBytes(w_.router.weights(), rows));
    if (w_.shared) {
      most = std::max(most, kernels::GatedMlpWorkspaceBytes(w_.shared->mlp.weights(), rows));
      if (w_.shared->weight) {
        most = std::max(most, kernels::LinearWorkspaceBytes(w_.shared->weight->weights(), rows));
      }
    }
    return Layout(in, nullptr).bytes + most;
  }
  size_t HelperWorkspaceBytes(const ValueShape& in) const override {
    const int64_t rows = in.vectors(), block = kernels::kGatedMlpRowBlock;
    size_t most =
        std::max(kernels::MoeFfnLinearBytes(w_.experts.weights(), std::min(rows * w_.top_k, block)),
                 kernels::LinearWorkspaceBytes(w_.router.weights(), rows));
    if (w_.shared) {
      most = std::max(
          most, kernels::GatedMlpLinearBytes(w_.shared->mlp.weights(), std::min(rows, block)));
      if (w_.shared->weight) {
        most = std::max(most, kernels::LinearWorkspaceBytes(w_.shared->weight->weights(), rows));
      }
    }
    return most;
  }

  absl::Status Run(const BlockInput& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t rows = x.shape.vectors();
    const kernels::MoeWeights experts = w_.experts.weights();
    const Parts parts = Layout(x.shape, static_cast<char*>(scratch.data));
    if (parts.bytes > scratch.bytes) return absl::InternalError("moe: the workspace is too small");

    const kernels::Workspace rest = {static_cast<char*>(scratch.data) + parts.bytes,
                                     scratch.bytes - parts.bytes, scratch.pool};

    const float* n = x.floats();
    if (!w_.norm.empty()) {
      kernels::RmsNormArgs norm;
      norm.rows = rows;
      norm.dim = x.shape.dim;
      norm.x = x.floats();
      norm.weight = w_.norm.data();
      norm.y = parts.normed;
      PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: rms_norm", kernels::RmsNorm(norm)));
      n = parts.normed;
    }

    kernels::LinearArgs router;
    router.w = w_.router.weights();
    router.rows = rows;
    router.x = n;
    router.y = parts.logits;
    router.workspace = rest;
    PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: router", kernels::Linear(router)));

    kernels::RouteTopKArgs route;
    route.rows = rows;
    route.experts = experts.count;
    route.k = w_.top_k;
    route.score = w_.score;
    route.renorm = w_.renormalize;
    route.scale = w_.scale;
    route.bias = w_.router_bias.empty() ? nullptr : w_.router_bias.data();
    route.logits = parts.logits;
    route.ids = parts.ids;
    route.weights = parts.weights;
    PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: route_topk", kernels::RouteTopK(route)));

    kernels::RoutePlanArgs plan;
    plan.rows = rows;
    plan.k = w_.top_k;
    plan.experts = experts.count;
    plan.ids = parts.ids;
    plan.plan = parts.plan;
    PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: route_plan", kernels::RoutePlan(plan)));

    const float* residual = w_.residual ? x.floats() : nullptr;
    if (w_.shared) {
      PENSTOCK_RETURN_IF_ERROR(RunShared(n, residual, rows, parts.share, y, rest));
      residual = y.floats();
    }

    kernels::MoeFfnArgs ffn;
    ffn.w = experts;
    ffn.rows = rows;
    ffn.k = w_.top_k;
    ffn.plan = parts.plan;
    ffn.weights = parts.weights;
    ffn.x = n;
    ffn.residual = residual;
    ffn.y = y.floats();
    ffn.workspace = rest;
    return FromKernel("moe: moe_ffn", w_.resident ? w_.resident->Run(ffn) : kernels::MoeFfn(ffn));
  }

  double Flops(const ValueShape& in) const override {
    const kernels::MoeWeights e = w_.experts.weights();
    const int64_t rows = in.vectors();
    return (w_.norm.empty() ? 0 : kernels::RmsNormCost(rows, in.dim).flops) +
           kernels::LinearCost(rows, in.dim, e.count).flops +
           kernels::RouteTopKCost(rows, e.count, w_.top_k).flops +
           kernels::MoeFfnCost(rows * w_.top_k, Distinct(in), e.d, e.f, e.o).flops +
           SharedFlops(rows);
  }
  double WeightBytes(const ValueShape& in) const override {
    const kernels::MoeWeights e = w_.experts.weights();
    return static_cast<double>(resident_bytes() - w_.experts.bytes()) +
           static_cast<double>(w_.experts.bytes()) * static_cast<double>(Distinct(in)) /
               static_cast<double>(e.count);
  }
  size_t resident_bytes() const override {
    size_t bytes = (w_.norm.size() + w_.router_bias.size()) * sizeof(float) + w_.router.bytes() +
                   w_.experts.bytes();
    if (w_.shared) {
      bytes += w_.shared->mlp.bytes();
      if (w_.shared->weight) bytes += w_.shared->weight->bytes();
    }
    return bytes;
  }

 private:
  struct Parts {
    float* normed;
    float* logits;
    float* weights;
    float* share;  // of the shared expert, a row
    int32_t* ids;
    kernels::PlanView plan;
    size_t bytes;
  };

  // y = sigmoid(w n) mlp(n) [+ x].
  absl::Status RunShared(const float* n, const float* residual, int64_t rows, float* share,
                         const Value& y, kernels::Workspace scratch) const {
    kernels::GatedMlpArgs mlp;
    mlp.w = w_.shared->mlp.weights();
    mlp.rows = rows;
    mlp.x = n;
    mlp.y = y.floats();
    mlp.workspace = scratch;
    PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: shared expert", kernels::GatedMlp(mlp)));
    if (w_.shared->weight) {
      kernels::LinearArgs weight;
      weight.w = w_.shared->weight->weights();
      weight.rows = rows;
      weight.x = n;
      weight.y = share;
      weight.workspace = scratch;
      PENSTOCK_RETURN_IF_ERROR(FromKernel("moe: shared_weight", kernels::Linear(weight)));
    }
    const int64_t o = mlp.w.down.out;
    for (int64_t row = 0; row < rows; ++row) {
      const float factor = w_.shared->weight ? 1 / (1 + std::exp(-share[row])) : 1;
      for (int64_t i = row * o; i < (row + 1) * o; ++i) {
        y.floats()[i] = factor * y.floats()[i] + (residual == nullptr ? 0 : residual[i]);
      }
    }
    return absl::OkStatus();
  }

  double SharedFlops(int64_t rows) const {
    if (!w_.shared) return 0;
    const kernels::GatedMlpWeights& mlp = w_.shared->mlp.weights();
    const int64_t d = mlp.gate_up.in, o = mlp.down.out;
    return kernels::GatedMlpCost(rows, d, mlp.down.in, o).flops +
           2 * static_cast<double>(rows * o) +
           (w_.shared->weight ? kernels::LinearCost(rows, d, 1).flops : 0);
  }

  // As many experts as can be touched: known before the routing is, so that the charge for a row
  // count is always the same.
  int64_t Distinct(const ValueShape& in) const {
    return std::min(w_.experts.weights().count, in.vectors() * w_.top_k);
  }

  Parts Layout(const ValueShape& in, char* base) const {
    const int64_t rows = in.vectors();
    const int64_t experts = w_.experts.weights().count;
    size_t used = 0;
    const auto take = [&](int64_t count) {
      char* part = base == nullptr ? nullptr : base + used;
      used += kernels::WorkspaceFloats(count);
      return static_cast<void*>(part);
    };
    Parts parts;
    parts.normed = static_cast<float*>(take(w_.norm.empty() ? 0 : in.elements()));
    parts.logits = static_cast<float*>(take(rows * experts));
    parts.weights = static_cast<float*>(take(rows * w_.top_k));
    parts.share = static_cast<float*>(take(w_.shared && w_.shared->weight ? rows : 0));
    parts.ids = static_cast<int32_t*>(take(rows * w_.top_k));
    parts.plan.counts = static_cast<int32_t*>(take(experts));
    parts.plan.offsets = static_cast<int32_t*>(take(experts + 1));
    parts.plan.src = static_cast<int32_t*>(take(rows * w_.top_k));
    parts.plan.dst = static_cast<int32_t*>(take(rows * w_.top_k));
    parts.bytes = used;
    return parts;
  }

  const Weights w_;
};

absl::StatusOr<kernels::RouteScore> ScoreOf(config::v1::RouterScore score) {
  switch (score) {
    case config::v1::SOFTMAX:
      return kernels::RouteScore::kSoftmax;
    case config::v1::SIGMOID:
      return kernels::RouteScore::kSigmoid;
    case config::v1::RouterScore_INT_MIN_SENTINEL_DO_NOT_USE_:
    case config::v1::RouterScore_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown score ", int{score}));
}

// How the router's tensors and fields choose; `router` [E, d].
absl::Status ReadRouter(const config::v1::Moe& config, BlockTensors& tensors, int64_t d,
                        Weights& weights, int64_t& experts) {
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix router, tensors.Matrix("router", -1, d));
  experts = router.out;
  if (experts > kernels::kMaxExperts) {
    return absl::InvalidArgumentError(
        absl::StrCat("at most ", kernels::kMaxExperts, " experts, found ", experts));
  }
  if (config.top_k() < 1 || config.top_k() > experts) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k must be in [1, ", experts, "], found ", config.top_k()));
  }
  if (config.has_scale()) weights.scale = config.scale();
  if (!std::isfinite(weights.scale) || weights.scale <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("scale must be finite and above 0, found ", weights.scale));
  }
  PENSTOCK_ASSIGN_OR_RETURN(weights.score, ScoreOf(config.score()));
  if (tensors.Has("router_bias")) {
    PENSTOCK_ASSIGN_OR_RETURN(weights.router_bias, tensors.Floats("router_bias", {experts}));
  }
  weights.router = Pack(router, nullptr);
  weights.top_k = config.top_k();
  weights.renormalize = config.has_renormalize() ? config.renormalize() : true;
  return absl::OkStatus();
}

absl::StatusOr<kernels::PackedGatedMlp> PackExpert(StoredMatrix gate, const StoredMatrix& up,
                                                   const StoredMatrix& down,
                                                   kernels::Activation activation,
                                                   absl::string_view what) {
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix gate_up,
                            Stack(std::move(gate), up, absl::StrCat("gate and up of ", what)));
  return kernels::PackedGatedMlp(Pack(gate_up, nullptr), Pack(down, nullptr), nullptr, activation,
                                 false);
}

// Expert by expert, so that only one at a time stands in memory unpacked.
absl::StatusOr<kernels::PackedMoe> ReadExperts(const config::v1::Moe& config, BlockTensors& tensors,
                                               int64_t experts, int64_t d,
                                               kernels::Activation activation) {
  std::vector<kernels::PackedGatedMlp> packed;
  int64_t f = -1, o = config.residual() ? d : -1;  // of the first: all are alike
  for (int64_t e = 0; e < experts; ++e) {
    PENSTOCK_ASSIGN_OR_RETURN(StoredMatrix gate, tensors.ExpertMatrix("gate", e, experts, f, d));
    f = gate.out;
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix up, tensors.ExpertMatrix("up", e, experts, f, d));
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix down,
                              tensors.ExpertMatrix("down", e, experts, o, f));
    o = down.out;
    PENSTOCK_ASSIGN_OR_RETURN(
        kernels::PackedGatedMlp expert,
        PackExpert(std::move(gate), up, down, activation, absl::StrCat("expert ", e)));
    packed.push_back(std::move(expert));
  }
  return kernels::PackedMoe(std::move(packed));
}

// Null where no device was chosen, or the formats have no way to stay there: MoeFfn then takes them
// along in every call.
absl::StatusOr<std::unique_ptr<kernels::ResidentMoe>> UploadExperts(
    const kernels::MoeWeights& experts) {
  if (kernels::IsaLimit() != kernels::Isa::kCuda || !kernels::AllBf16(experts)) return nullptr;
  auto resident = std::make_unique<kernels::ResidentMoe>();
  if (const kernels::Status status = resident->Upload(experts); !status.ok()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "experts of ", resident->weight_bytes(), " bytes do not go to the CUDA device: ",
        status.message, "; execution.kernels: \"\" serves them on the CPU"));
  }
  return resident;
}

absl::StatusOr<SharedExpert> ReadShared(BlockTensors& tensors, int64_t d, int64_t o,
                                        kernels::Activation activation) {
  PENSTOCK_ASSIGN_OR_RETURN(StoredMatrix gate, tensors.Matrix("shared_gate", -1, d));
  const int64_t f = gate.out;
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix up, tensors.Matrix("shared_up", f, d));
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix down, tensors.Matrix("shared_down", o, f));
  SharedExpert shared;
  PENSTOCK_ASSIGN_OR_RETURN(shared.mlp,
                            PackExpert(std::move(gate), up, down, activation, "the shared expert"));
  if (tensors.HasMatrix("shared_weight")) {
    PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix weight, tensors.Matrix("shared_weight", 1, d));
    shared.weight = Pack(weight, nullptr);
  }
  return shared;
}

}  // namespace

BlockOr MakeMoe(const config::v1::Moe& config, BlockTensors& tensors, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  const int64_t d = in.dim;
  Weights weights;
  int64_t experts = 0;
  PENSTOCK_RETURN_IF_ERROR(ReadRouter(config, tensors, d, weights, experts));
  PENSTOCK_ASSIGN_OR_RETURN(const kernels::Activation activation,
                            ActivationOf(config.activation()));
  PENSTOCK_ASSIGN_OR_RETURN(weights.experts, ReadExperts(config, tensors, experts, d, activation));
  PENSTOCK_ASSIGN_OR_RETURN(weights.resident, UploadExperts(weights.experts.weights()));
  if (tensors.HasMatrix("shared_gate")) {
    PENSTOCK_ASSIGN_OR_RETURN(weights.shared,
                              ReadShared(tensors, d, weights.experts.weights().o, activation));
  }
  if (config.norm()) {
    PENSTOCK_ASSIGN_OR_RETURN(weights.norm, tensors.Floats("norm", {d}));
  }
  weights.residual = config.residual();
  return std::make_unique<MoeBlock>(std::move(weights));
}

}  // namespace penstock::expert
