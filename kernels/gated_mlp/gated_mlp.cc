#include "kernels/gated_mlp/gated_mlp.h"

#include <algorithm>
#include <utility>

namespace penstock::kernels {
namespace {

constexpr GatedMlpImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, GatedMlpCuda},
    {"avx512bf16", Isa::kAvx512Bf16, CpuHasAvx512Bf16, GatedMlpAvx512Bf16},
    {"avx512", Isa::kAvx512, CpuHasAvx512, GatedMlpAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, GatedMlpAvx2},
    {"reference", Isa::kReference, AlwaysSupported, GatedMlpReference},
};

std::vector<float> Stack(const float* upper, const float* lower, int64_t count) {
  std::vector<float> both(upper, upper + count);
  both.insert(both.end(), lower, lower + count);
  return both;
}

}  // namespace

PackedGatedMlp::PackedGatedMlp(const float* gate, const float* up, const float* down,
                               const float* norm, int64_t d, int64_t f, int64_t o,
                               Activation activation, bool residual, float eps)
    : PackedGatedMlp(PackedLinear(Stack(gate, up, f * d).data(), nullptr, d, 2 * f),
                     PackedLinear(down, nullptr, f, o), norm, activation, residual, eps) {}

PackedGatedMlp::PackedGatedMlp(PackedLinear gate_up, PackedLinear down, const float* norm,
                               Activation activation, bool residual, float eps)
    : gate_up_(std::move(gate_up)), down_(std::move(down)) {
  if (norm != nullptr) norm_.assign(norm, norm + gate_up_.weights().in);
  weights_ = {gate_up_.weights(),
              down_.weights(),
              activation,
              norm ? norm_.data() : nullptr,
              eps,
              residual};
}

size_t GatedMlpLinearBytes(const GatedMlpWeights& w, int64_t rows) {
  return std::max(LinearWorkspaceBytes(w.gate_up, rows), LinearWorkspaceBytes(w.down, rows));
}

size_t GatedMlpWorkspaceBytes(const GatedMlpWeights& w, int64_t rows, int threads) {
  const int64_t block = std::min(rows, kGatedMlpRowBlock);
  const size_t normed = w.norm != nullptr ? WorkspaceFloats(block * w.gate_up.in) : 0;
  return kWorkspaceAlign + normed + WorkspaceFloats(block * w.gate_up.out) +
         static_cast<size_t>(threads) * GatedMlpLinearBytes(w, block);
}

Cost GatedMlpCost(int64_t rows, int64_t d, int64_t f, int64_t o) {
  const double m = static_cast<double>(rows), weights = static_cast<double>(f * (2 * d + o));
  return {m * (2 * weights + 10 * static_cast<double>(f)),
          4 * (weights + m * static_cast<double>(d + o))};
}

Status CheckGatedMlp(const GatedMlpArgs& args) {
  const GatedMlpWeights& w = args.w;
  if (args.rows < 0 || w.gate_up.in < 0 || w.down.out < 0) {
    return {Code::kInvalidArgument, "gated_mlp: negative size"};
  }
  if (w.gate_up.out != 2 * w.down.in) {
    return {Code::kInvalidArgument, "gated_mlp: gate_up must have twice the inputs of down"};
  }
  if (w.residual && w.down.out != w.gate_up.in) {
    return {Code::kInvalidArgument, "gated_mlp: residual needs as many outputs as inputs"};
  }
  if (args.rows == 0) return {};
  if (args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "gated_mlp: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < GatedMlpWorkspaceBytes(w, args.rows)) {
    return {Code::kInvalidArgument, "gated_mlp: workspace too small"};
  }
  return {};
}

std::span<const GatedMlpImpl> GatedMlpImpls() { return kImpls; }

Status GatedMlp(const GatedMlpArgs& args) { return ForOp(GatedMlpImpls()).run(args); }

}  // namespace penstock::kernels
