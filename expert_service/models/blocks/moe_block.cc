#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/blocks/blocks.h"
#include "expert_service/models/kernel_status.h"
#include "kernels/linear/linear.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/route_plan/route_plan.h"
#include "kernels/route_topk/route_topk.h"

namespace penstock::expert {
namespace {

struct Weights {
  std::vector<float> norm;  // empty: none
  kernels::PackedLinear router;
  kernels::PackedMoe experts;
  int64_t top_k = 1;
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
    return Layout(in, nullptr).bytes +
           std::max(kernels::MoeFfnWorkspaceBytes(w_.experts.weights(), in.vectors(), w_.top_k),
                    kernels::LinearWorkspaceBytes(w_.router.weights(), in.vectors()));
  }

  absl::Status Run(const Value& x, const Value& y, kernels::Workspace scratch) const override {
    const int64_t rows = x.shape.vectors();
    const kernels::MoeWeights experts = w_.experts.weights();
    const Parts parts = Layout(x.shape, static_cast<char*>(scratch.data));
    if (parts.bytes > scratch.bytes) return absl::InternalError("moe: the workspace is too small");

    const kernels::Workspace rest = {static_cast<char*>(scratch.data) + parts.bytes,
                                     scratch.bytes - parts.bytes};

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

    kernels::MoeFfnArgs ffn;
    ffn.w = experts;
    ffn.rows = rows;
    ffn.k = w_.top_k;
    ffn.plan = parts.plan;
    ffn.weights = parts.weights;
    ffn.x = n;
    ffn.residual = w_.residual ? x.floats() : nullptr;
    ffn.y = y.floats();
    ffn.workspace = rest;
    return FromKernel("moe: moe_ffn", kernels::MoeFfn(ffn));
  }

  double Flops(const ValueShape& in) const override {
    const kernels::MoeWeights e = w_.experts.weights();
    const int64_t rows = in.vectors();
    return (w_.norm.empty() ? 0 : kernels::RmsNormCost(rows, in.dim).flops) +
           kernels::LinearCost(rows, in.dim, e.count).flops +
           kernels::RouteTopKCost(rows, e.count, w_.top_k).flops +
           kernels::MoeFfnCost(rows * w_.top_k, Distinct(in), e.d, e.f, e.o).flops;
  }
  double WeightBytes(const ValueShape& in) const override {
    const kernels::MoeWeights e = w_.experts.weights();
    return static_cast<double>(resident_bytes() - w_.experts.bytes()) +
           static_cast<double>(w_.experts.bytes()) * static_cast<double>(Distinct(in)) /
               static_cast<double>(e.count);
  }
  size_t resident_bytes() const override {
    return w_.norm.size() * sizeof(float) + w_.router.bytes() + w_.experts.bytes();
  }

 private:
  struct Parts {
    float* normed;
    float* logits;
    float* weights;
    int32_t* ids;
    kernels::PlanView plan;
    size_t bytes;
  };

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

}  // namespace

BlockOr MakeMoe(const config::v1::Moe& config, BlockTensors& tensors, const ValueShape& in) {
  PENSTOCK_RETURN_IF_ERROR(WantFloats(in));
  const int64_t d = in.dim;
  PENSTOCK_ASSIGN_OR_RETURN(const StoredMatrix router, tensors.Matrix("router", -1, d));
  const int64_t experts = router.out;
  if (experts > kernels::kMaxExperts) {
    return absl::InvalidArgumentError(
        absl::StrCat("at most ", kernels::kMaxExperts, " experts, found ", experts));
  }
  if (config.top_k() < 1 || config.top_k() > experts) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k must be in [1, ", experts, "], found ", config.top_k()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<StoredMatrix> gate,
                            tensors.Matrices("gate", experts, -1, d));
  const int64_t f = gate[0].out;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<StoredMatrix> up,
                            tensors.Matrices("up", experts, f, d));
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<StoredMatrix> down,
      tensors.Matrices("down", experts, config.residual() ? d : int64_t{-1}, f));
  std::vector<kernels::PackedGatedMlp> packed;
  for (size_t e = 0; e < gate.size(); ++e) {
    PENSTOCK_ASSIGN_OR_RETURN(
        const StoredMatrix gate_up,
        Stack(std::move(gate[e]), up[e], absl::StrCat("gate and up of expert ", e)));
    packed.emplace_back(Pack(gate_up, nullptr), Pack(down[e], nullptr), nullptr,
                        kernels::Activation::kSwiGlu, false);
  }
  Weights weights;
  if (config.norm()) {
    PENSTOCK_ASSIGN_OR_RETURN(weights.norm, tensors.Floats("norm", {d}));
  }
  weights.router = Pack(router, nullptr);
  weights.experts = kernels::PackedMoe(std::move(packed));
  weights.top_k = config.top_k();
  weights.residual = config.residual();
  return std::make_unique<MoeBlock>(std::move(weights));
}

}  // namespace penstock::expert
