#include "kernels/moe_ffn/moe_ffn.h"

#include <algorithm>
#include <utility>

namespace penstock::kernels {
namespace {

constexpr MoeFfnImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, MoeFfnCuda},
    {"avx512bf16", Isa::kAvx512Bf16, CpuHasAvx512Bf16, MoeFfnAvx512Bf16},
    {"avx512", Isa::kAvx512, CpuHasAvx512, MoeFfnAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, MoeFfnAvx2},
    {"reference", Isa::kReference, AlwaysSupported, MoeFfnReference},
};

}  // namespace

PackedMoe::PackedMoe(const float* gate, const float* up, const float* down, int64_t experts,
                     int64_t d, int64_t f, int64_t o, Activation activation)
    : d_(d), f_(f), o_(o) {
  experts_.reserve(static_cast<size_t>(experts));
  for (int64_t e = 0; e < experts; ++e) {
    experts_.emplace_back(gate + e * f * d, up + e * f * d, down + e * o * f, nullptr, d, f, o,
                          activation, false);
    views_.push_back(experts_.back().weights());
  }
}

PackedMoe::PackedMoe(std::vector<PackedGatedMlp> experts) : experts_(std::move(experts)) {
  for (const PackedGatedMlp& expert : experts_) views_.push_back(expert.weights());
  d_ = views_[0].gate_up.in;
  f_ = views_[0].down.in;
  o_ = views_[0].down.out;
}

MoeWeights PackedMoe::weights() const {
  return {views_.data(), static_cast<int64_t>(views_.size()), d_, f_, o_};
}

size_t PackedMoe::bytes() const {
  size_t total = 0;
  for (const PackedGatedMlp& expert : experts_) total += expert.bytes();
  return total;
}

size_t MoeFfnWorkspaceBytes(const MoeWeights& w, int64_t rows, int64_t k, int threads) {
  const int64_t pairs = rows * k;
  const int64_t block = std::min(pairs, kGatedMlpRowBlock);
  return kWorkspaceAlign + WorkspaceFloats(block) + WorkspaceFloats(block * w.d) +
         WorkspaceFloats(block * 2 * w.f) + WorkspaceFloats(pairs * w.o) +
         static_cast<size_t>(threads) * MoeFfnLinearBytes(w, block);
}

size_t MoeFfnLinearBytes(const MoeWeights& w, int64_t rows) {
  size_t most = 0;
  for (int64_t e = 0; e < w.count; ++e) {
    most = std::max(most, GatedMlpLinearBytes(w.experts[e], rows));
  }
  return most;
}

Cost MoeFfnCost(int64_t pairs, int64_t distinct, int64_t d, int64_t f, int64_t o) {
  const double p = static_cast<double>(pairs), weights = static_cast<double>(f * (2 * d + o));
  return {p * (2 * weights + 10 * static_cast<double>(f) + 2 * static_cast<double>(o)),
          4 * (static_cast<double>(distinct) * weights + p * static_cast<double>(d + o))};
}

Status CheckMoeFfn(const MoeFfnArgs& args) {
  const MoeWeights& w = args.w;
  if (args.rows < 0 || args.k < 0 || w.count < 0 || w.d < 0 || w.f < 0 || w.o < 0) {
    return {Code::kInvalidArgument, "moe_ffn: negative size"};
  }
  if (args.rows == 0) return {};
  const PlanView& plan = args.plan;
  if (args.x == nullptr || args.y == nullptr || plan.offsets == nullptr ||
      (w.count > 0 && w.experts == nullptr) ||
      (args.k > 0 && (plan.src == nullptr || plan.dst == nullptr || args.weights == nullptr))) {
    return {Code::kInvalidArgument, "moe_ffn: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < MoeFfnWorkspaceBytes(w, args.rows, args.k)) {
    return {Code::kInvalidArgument, "moe_ffn: workspace too small"};
  }
  for (int64_t e = 0; e < w.count; ++e) {
    if (w.experts[e].gate_up.in != w.d || w.experts[e].down.in != w.f ||
        w.experts[e].gate_up.out != 2 * w.f || w.experts[e].down.out != w.o) {
      return {Code::kInvalidArgument, "moe_ffn: experts differ in shape"};
    }
    if (plan.offsets[e] < 0 || plan.offsets[e] > plan.offsets[e + 1]) {
      return {Code::kInvalidArgument, "moe_ffn: offsets must not fall"};
    }
  }
  if (plan.offsets[0] != 0 || plan.offsets[w.count] > args.rows * args.k) {
    return {Code::kInvalidArgument, "moe_ffn: plan is for another batch"};
  }
  for (int64_t p = 0; p < plan.offsets[w.count]; ++p) {
    if (plan.src[p] < 0 || plan.src[p] >= args.rows * args.k) {
      return {Code::kInvalidArgument, "moe_ffn: src names no pair"};
    }
  }
  return {};
}

std::span<const MoeFfnImpl> MoeFfnImpls() { return kImpls; }

Status MoeFfn(const MoeFfnArgs& args) { return ForOp(MoeFfnImpls()).run(args); }

}  // namespace penstock::kernels
