#include "kernels/gated_attention/gated_attention.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

constexpr GatedAttentionImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, GatedAttentionCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, GatedAttentionAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, GatedAttentionAvx2},
    {"reference", Isa::kReference, AlwaysSupported, GatedAttentionReference},
};

std::vector<float> Stack(const float* q, const float* k, const float* v, const float* gate,
                         int64_t d, int64_t gates) {
  std::vector<float> all;
  all.reserve(static_cast<size_t>((3 * d + gates) * d));
  for (const float* part : {q, k, v}) all.insert(all.end(), part, part + d * d);
  all.insert(all.end(), gate, gate + gates * d);
  return all;
}

int64_t Gates(int64_t d, int64_t heads, GateShape shape) {
  return shape == GateShape::kHeadWise ? heads : d;
}

}  // namespace

PackedGatedAttention::PackedGatedAttention(const float* q, const float* k, const float* v,
                                           const float* o, const float* gate, const float* norm,
                                           int64_t d, int64_t heads, GateShape gate_shape,
                                           bool residual, float eps)
    : project_(Stack(q, k, v, gate, d, Gates(d, heads, gate_shape)).data(), nullptr, d,
               3 * d + Gates(d, heads, gate_shape)),
      out_(o, nullptr, d, d) {
  if (norm != nullptr) norm_.assign(norm, norm + d);
  weights_ = {project_.weights(),
              out_.weights(),
              heads,
              gate_shape,
              norm ? norm_.data() : nullptr,
              eps,
              residual};
}

size_t GatedAttentionWorkspaceBytes(const GatedAttentionWeights& w, int64_t rows,
                                    int64_t positions) {
  const int64_t d = w.out.out;
  const int64_t head_dim = d / std::max<int64_t>(w.heads, 1);
  const int64_t group = AttentionRowGroup(rows, positions) * positions;
  const int64_t padded = LinearPanels(positions) * kPanelColumns;
  return kWorkspaceAlign + (w.norm != nullptr ? WorkspaceFloats(group * d) : 0) +
         WorkspaceFloats(group * w.project.out) + WorkspaceFloats(group * d) +
         WorkspaceFloats(padded * head_dim) +
         WorkspaceFloats(LinearPanels(head_dim) * kPanelColumns * positions) +
         WorkspaceFloats(kAttentionQueryBlock * padded);
}

Cost GatedAttentionCost(int64_t rows, int64_t positions, int64_t d, int64_t heads, GateShape gate) {
  const double m = static_cast<double>(rows), t = static_cast<double>(positions),
               width = static_cast<double>(d), h = static_cast<double>(heads);
  const double weights = width * (4 * width + static_cast<double>(Gates(d, heads, gate)));
  // Q K^T and P V 2 flops each per score and head element; 11 per score for the softmax.
  return {m * t * (2 * weights + t * (4 * width + 11 * h)), 4 * (weights + 2 * m * t * width)};
}

Status CheckGatedAttention(const GatedAttentionArgs& args) {
  const GatedAttentionWeights& w = args.w;
  const int64_t d = w.out.out;
  if (args.rows < 0 || args.positions < 0 || d < 0) {
    return {Code::kInvalidArgument, "gated_attention: negative size"};
  }
  if (w.heads < 1 || d % w.heads != 0) {
    return {Code::kInvalidArgument, "gated_attention: heads must divide d"};
  }
  if (w.project.in != d || w.out.in != d || w.project.out != 3 * d + Gates(d, w.heads, w.gate)) {
    return {Code::kInvalidArgument, "gated_attention: weights disagree in d"};
  }
  if (args.rows == 0 || args.positions == 0 || d == 0) return {};
  if (args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "gated_attention: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < GatedAttentionWorkspaceBytes(w, args.rows, args.positions)) {
    return {Code::kInvalidArgument, "gated_attention: workspace too small"};
  }
  return {};
}

std::span<const GatedAttentionImpl> GatedAttentionImpls() { return kImpls; }

Status GatedAttention(const GatedAttentionArgs& args) {
  return ForOp(GatedAttentionImpls()).run(args);
}

}  // namespace penstock::kernels
