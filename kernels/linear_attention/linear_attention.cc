#include "kernels/linear_attention/linear_attention.h"

namespace penstock::kernels {
namespace {

constexpr LinearAttentionImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, LinearAttentionCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, LinearAttentionAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, LinearAttentionAvx2},
    {"reference", Isa::kReference, AlwaysSupported, LinearAttentionReference},
};

}  // namespace

size_t LinearAttentionWorkspaceBytes(int64_t key_dim) {
  const int64_t rows = kStateChunk * PaddedKeyDim(key_dim);
  return kWorkspaceAlign + 3 * WorkspaceFloats(rows) + 2 * WorkspaceFloats(PaddedKeyDim(key_dim)) +
         WorkspaceFloats(kStateChunk * kStateChunk) +
         WorkspaceFloats(kStateGroup * kStateChunk * kPanelColumns);
}

Cost LinearAttentionCost(int64_t tokens, int64_t sequences, int64_t heads, int64_t key_dim,
                         int64_t value_dim) {
  const double t = static_cast<double>(tokens) * static_cast<double>(heads),
               s = static_cast<double>(sequences) * static_cast<double>(heads),
               dk = static_cast<double>(key_dim), dv = static_cast<double>(value_dim);
  // Decay, update and readout 5 flops an element of the state; an exp counts as 8.
  return {t * (5 * dk * dv + 8 * dk), 4 * (t * (3 * dk + 2 * dv) + 2 * s * dk * dv)};
}

Status CheckLinearAttention(const LinearAttentionArgs& args) {
  if (args.sequences < 0 || args.heads < 0 || args.key_dim < 0 || args.value_dim < 0) {
    return {Code::kInvalidArgument, "linear_attention: negative size"};
  }
  if (args.sequences == 0 || args.heads == 0 || args.value_dim == 0) return {};
  if (args.offsets == nullptr) {
    return {Code::kInvalidArgument, "linear_attention: null offsets"};
  }
  if (args.offsets[0] < 0) return {Code::kInvalidArgument, "linear_attention: negative offset"};
  for (int64_t s = 0; s < args.sequences; ++s) {
    if (args.offsets[s + 1] < args.offsets[s]) {
      return {Code::kInvalidArgument, "linear_attention: offsets fall"};
    }
  }
  if (args.offsets[args.sequences] == args.offsets[0]) return {};
  const bool keys = args.key_dim > 0;
  if (args.v == nullptr || args.y == nullptr ||
      (keys &&
       (args.q == nullptr || args.k == nullptr || args.g == nullptr || args.state == nullptr))) {
    return {Code::kInvalidArgument, "linear_attention: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < LinearAttentionWorkspaceBytes(args.key_dim)) {
    return {Code::kInvalidArgument, "linear_attention: workspace too small"};
  }
  return {};
}

std::span<const LinearAttentionImpl> LinearAttentionImpls() { return kImpls; }

Status LinearAttention(const LinearAttentionArgs& args) {
  return ForOp(LinearAttentionImpls()).run(args);
}

}  // namespace penstock::kernels
