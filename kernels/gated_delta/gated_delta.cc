#include "kernels/gated_delta/gated_delta.h"

namespace penstock::kernels {
namespace {

constexpr GatedDeltaImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, GatedDeltaCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, GatedDeltaAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, GatedDeltaAvx2},
    {"reference", Isa::kReference, AlwaysSupported, GatedDeltaReference},
};

}  // namespace

size_t GatedDeltaWorkspaceBytes(int64_t key_dim) {
  const int64_t rows = kStateChunk * PaddedKeyDim(key_dim);
  return kWorkspaceAlign + 5 * WorkspaceFloats(rows) + WorkspaceFloats(PaddedKeyDim(key_dim)) +
         4 * WorkspaceFloats(kStateChunk * kStateChunk) +
         WorkspaceFloats(kStateGroup * kStateChunk * kPanelColumns);
}

Cost GatedDeltaCost(int64_t tokens, int64_t sequences, int64_t key_heads, int64_t value_heads,
                    int64_t key_dim, int64_t value_dim) {
  const double t = static_cast<double>(tokens), kh = static_cast<double>(key_heads),
               vh = static_cast<double>(value_heads), s = static_cast<double>(sequences),
               dk = static_cast<double>(key_dim), dv = static_cast<double>(value_dim);
  // Decay, S^T k, update and readout 7 flops an element of the state; a norm 3 of a key.
  return {t * (7 * vh * dk * dv + 6 * kh * dk),
          4 * (t * (2 * kh * dk + 2 * vh * (dv + 1)) + 2 * s * vh * dk * dv)};
}

Status CheckGatedDelta(const GatedDeltaArgs& args) {
  if (args.sequences < 0 || args.key_heads < 0 || args.value_heads < 0 || args.key_dim < 0 ||
      args.value_dim < 0) {
    return {Code::kInvalidArgument, "gated_delta: negative size"};
  }
  if (args.sequences == 0 || args.value_heads == 0 || args.value_dim == 0) return {};
  if (args.key_heads == 0 || args.value_heads % args.key_heads != 0) {
    return {Code::kInvalidArgument, "gated_delta: key_heads must divide value_heads"};
  }
  if (args.offsets == nullptr) return {Code::kInvalidArgument, "gated_delta: null offsets"};
  if (args.offsets[0] < 0) return {Code::kInvalidArgument, "gated_delta: negative offset"};
  for (int64_t s = 0; s < args.sequences; ++s) {
    if (args.offsets[s + 1] < args.offsets[s]) {
      return {Code::kInvalidArgument, "gated_delta: offsets fall"};
    }
  }
  if (args.offsets[args.sequences] == args.offsets[0]) return {};
  if (args.v == nullptr || args.g == nullptr || args.beta == nullptr || args.y == nullptr ||
      (args.key_dim > 0 && (args.q == nullptr || args.k == nullptr || args.state == nullptr))) {
    return {Code::kInvalidArgument, "gated_delta: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < GatedDeltaWorkspaceBytes(args.key_dim)) {
    return {Code::kInvalidArgument, "gated_delta: workspace too small"};
  }
  return {};
}

std::span<const GatedDeltaImpl> GatedDeltaImpls() { return kImpls; }

Status GatedDelta(const GatedDeltaArgs& args) { return ForOp(GatedDeltaImpls()).run(args); }

}  // namespace penstock::kernels
